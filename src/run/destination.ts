import type { Backend } from "../backend/backend.ts";
import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { joinPath } from "../model/path.ts";
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
  /** Folders there can't be read: what the listing does not have may be there all the same. */
  let isWhole = true;
  const onErrors = () => {
    isWhole = false;
  };
  const listed = top?.kind === "directory" ? entriesOf(backend, path, { onErrors, signal }) : undefined;
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
      if (next?.path === wanted) return next;
      return isWhole ? undefined : entryIfSeen(backend, joinPath(path, wanted), signal);
    },
    async [Symbol.asyncDispose]() {
      await listed?.return(undefined);
    },
  };
}

async function* entriesOf(
  backend: Backend,
  path: string,
  { onErrors, signal }: { readonly onErrors: () => void; readonly signal: AbortSignal },
): AsyncGenerator<Entry> {
  const listing = backend.list(path, { recursive: true, follow: false, signal });
  for await (const { entries, errors } of listing) {
    if (errors.length > 0) onErrors();
    yield* entries;
  }
}

/** Where nobody may look nobody may write either. */
async function entryIfSeen(backend: Backend, path: string, signal: AbortSignal): Promise<Entry | undefined> {
  try {
    return await entryAt(backend, path, signal);
  } catch (cause) {
    if (PbError.from(cause).code !== "permission_denied") throw cause;
    return undefined;
  }
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
