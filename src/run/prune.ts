import type { Backend } from "../backend/backend.ts";
import { type ErrorCode, PbError } from "../model/error.ts";
import { formatLocation } from "../model/location.ts";
import { displayPath, joinPath } from "../model/path.ts";
import type { Fed, FeedReport } from "./feed.ts";
import { belowRoot } from "./request.ts";

export interface PruneOptions extends Fed {
  /** Paths of what did not arrive, below the source's root. */
  readonly failed: ReadonlySet<string>;
  readonly report: Pick<FeedReport, "error" | "notice">;
  readonly signal: AbortSignal;
}

/**
 * After a move: removes the source's folders from the deepest up, where nothing is left in them. A folder that holds something
 * that was left out or came in the meantime is not empty, and stays, as does one of which nobody can say so; how many do is a notice.
 * Returns how many went.
 */
export async function pruneFolders(options: PruneOptions): Promise<number> {
  let removed = 0;
  const kept: string[] = [];
  for (const { source, path } of [...options.folders].reverse()) {
    const { backend, path: top } = source.endpoint;
    const at = joinPath(top, path);
    if (options.failed.has(belowRoot(at))) continue;
    try {
      await backend.remove(at, { recursive: false, signal: options.signal });
      removed += 1;
    } catch (cause) {
      const error = PbError.from(cause, "io_error", { path: at });
      if (error.code === "aborted") throw error;
      if (STAYS.has(error.code)) kept.push(`${displayPath(nameOf(backend, at))}: ${error.message}`);
      else if (error.code !== "not_found") options.report.error(error);
    }
  }
  if (kept.length > 0)
    options.report.notice("kept-folders", `${kept.length} of the source's folders stay: ${kept[0]}`);
  return removed;
}

/** What a web server shows as a folder is none that could be removed. */
const STAYS: ReadonlySet<ErrorCode> = new Set(["not_empty", "unsupported"]);

function nameOf({ name }: Backend, path: string): string {
  return name === "" ? path : formatLocation({ kind: "remote", remote: name, path });
}
