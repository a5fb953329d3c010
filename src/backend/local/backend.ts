import { PbError } from "../../model/error.ts";
import type { FileRoot } from "../../native/root.ts";
import type { Backend, ListBatch, ListOptions } from "../backend.ts";
import { pathAsAsked } from "../path.ts";
import { POSIX } from "../posix.ts";
import { aborted, either, refuseAborted, unlessAborted } from "../signals.ts";

export interface LocalBackendOptions {
  /** Closed with the backend. */
  readonly root: FileRoot;
  /** Shown in errors; default "". */
  readonly name?: string;
}

/**
 * Files of this machine below a root: the user's own ("/", resolve "host"), or what a server shows (resolve "beneath").
 * Errors name paths the way the call did: with a leading '/' when it had one.
 */
export function createLocalBackend({ root, name = "" }: LocalBackendOptions): Backend {
  const closing = new AbortController();

  /** Runs one call that is over quickly unless the disk is not. */
  async function call<T>(path: string, caller: AbortSignal, run: () => Promise<T>): Promise<T> {
    using signals = either(caller, closing.signal);
    refuseAborted(signals.signal);
    try {
      return await unlessAborted(run(), signals.signal);
    } catch (error) {
      throw pathAsAsked(PbError.from(error), path);
    }
  }

  async function close(): Promise<void> {
    closing.abort();
    root.close();
  }

  return {
    scheme: "local",
    name,
    capabilities: { ...POSIX, writable: root.writable },
    list: (path, options) => list(root, path, { options, closing: closing.signal }),
    stat: (path, { follow, signal }) => call(path, signal, () => root.stat(path, { follow })),
    mkdir: (path, { parents, mode = 0, signal }) =>
      call(path, signal, () => root.mkdir(path, { parents, mode })),
    touch: (path, { signal, ...options }) => call(path, signal, () => root.touch(path, options)),
    rename: (from, to, { replace, signal }) => call(from, signal, () => root.rename(from, to, { replace })),
    remove: (path, { recursive, signal }) =>
      remove(root, path, { recursive, signal, closing: closing.signal }),
    native: { kind: "root", root },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function* list(
  root: FileRoot,
  path: string,
  { options, closing }: { readonly options: ListOptions; readonly closing: AbortSignal },
): AsyncGenerator<ListBatch, void, void> {
  const { recursive, maxDepth = 0, follow, signal: caller } = options;
  using signals = either(caller, closing);
  refuseAborted(signals.signal);
  const batches = root.walk(path, { follow, maxDepth: recursive ? maxDepth : 1 });
  try {
    for (;;) {
      const next = await unlessAborted(batches.next(), signals.signal);
      if (next.done === true) return;
      const { entries, errors } = next.value;
      yield { entries, errors: errors.map((error) => pathAsAsked(PbError.from(error), path)) };
    }
  } catch (error) {
    throw pathAsAsked(PbError.from(error), path);
  } finally {
    // Not awaited: after an abort the batch under way ends when the disk answers, and with it the listing.
    batches.return().catch(() => {});
  }
}

/** Waits for the engine after an abort, so that nothing is removed any more once this has ended. */
async function remove(
  root: FileRoot,
  path: string,
  {
    recursive,
    signal: caller,
    closing,
  }: { readonly recursive: boolean; readonly signal: AbortSignal; readonly closing: AbortSignal },
): Promise<{ readonly files: number; readonly directories: number }> {
  using signals = either(caller, closing);
  const { signal } = signals;
  refuseAborted(signal);
  try {
    return await root.remove(path, { recursive, signal });
  } catch (error) {
    throw signal.aborted ? aborted(signal) : pathAsAsked(PbError.from(error), path);
  }
}
