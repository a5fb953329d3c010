import type { Entry } from "../model/entry.ts";
import { joinPath } from "../model/path.ts";
import { compileFilter } from "../plan/filter.ts";
import { entryAt, existingEntries } from "./destination.ts";
import type { FeedReport } from "./feed.ts";
import { type ResolvedRequest, type ResolvedSource, sendsTop } from "./request.ts";
import { walkSource } from "./walk.ts";

/** One thing to be transferred and what is at its target now. */
export interface Compared {
  readonly source: ResolvedSource;
  readonly entry: Entry;
  /** Relative to the target base. */
  readonly target: string;
  readonly existing: Entry | undefined;
}

/** Everything that the request selects, beside what the destination holds; both are listed once. */
export async function* compareWithDestination(
  request: ResolvedRequest,
  { report, signal }: { readonly report: Pick<FeedReport, "error">; readonly signal: AbortSignal },
): AsyncGenerator<Compared[]> {
  const filter = compileFilter(request.options, BigInt(Date.now()) * 1_000_000n);
  const { filesFrom, follow } = request.options;
  for (const source of request.resolved) {
    const { backend, path } = source.endpoint;
    const existing = await existingOf(request, { source, signal });
    try {
      const onError = report.error.bind(report);
      const withTop = sendsTop(request, source);
      const walk = { backend, path, filter, filesFrom, follow, withTop, signal, onError };
      for await (const batch of walkSource(walk, source.kind)) {
        const compared: Compared[] = [];
        for (const entry of batch) {
          const target = joinPath(source.prefix, entry.path);
          compared.push({ source, entry, target, existing: await existing.find(entry.path) });
        }
        yield compared;
      }
    } finally {
      await existing[Symbol.asyncDispose]();
    }
  }
}

async function existingOf(
  { destination, targets }: ResolvedRequest,
  { source, signal }: { source: ResolvedSource; signal: AbortSignal },
) {
  const path = joinPath(targets.base, source.prefix);
  const top = destination.fd === undefined ? await entryAt(destination.backend, path, signal) : undefined;
  return existingEntries(destination.backend, { path, top, signal });
}
