import type { Backend } from "../backend/backend.ts";
import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { compareListed } from "../plan/order.ts";

/** What is at a destination, asked for in listing order. */
export interface ExistingEntries extends AsyncDisposable {
  /** The entry at this path relative to the listed one, "" for that itself; paths must come in listing order. */
  find(path: string): Promise<Entry | undefined>;
}

/** Lists the destination once, beside the source: one pass, one batch in memory. A destination that is not there holds nothing. */
export function existingEntries(
  backend: Backend,
  {
    path,
    top,
    signal,
  }: { readonly path: string; readonly top: Entry | undefined; readonly signal: AbortSignal },
): ExistingEntries {
  const listed = top?.kind === "directory" ? entriesOf(backend, path, signal) : undefined;
  let next: Entry | undefined;
  let ended = listed === undefined;
  return {
    async find(wanted) {
      if (wanted === "") return top;
      while (!ended && (next === undefined || compareListed(next.path, wanted) < 0)) {
        const step = await listed?.next();
        ended = step?.done ?? true;
        next = step?.done ? undefined : step?.value;
      }
      return next?.path === wanted ? next : undefined;
    },
    async [Symbol.asyncDispose]() {
      await listed?.return(undefined);
    },
  };
}

async function* entriesOf(backend: Backend, path: string, signal: AbortSignal): AsyncGenerator<Entry> {
  for await (const { entries } of backend.list(path, { recursive: true, follow: false, signal }))
    yield* entries;
}

/** What is at a path, not following a link; absent when nothing is. */
export async function entryAt(
  backend: Backend,
  path: string,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  try {
    return await backend.stat(path, { follow: false, signal });
  } catch (cause) {
    const error = PbError.from(cause);
    if (error.code === "not_found" || error.code === "not_a_directory") return undefined;
    throw error;
  }
}
