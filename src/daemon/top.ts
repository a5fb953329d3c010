import type { Backend, ListBatch, ListOptions } from "../backend/backend.ts";
import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";

export interface TopPart {
  /** "" for the root without a name. */
  readonly name: string;
  readonly backend: Backend;
}

/**
 * "/" of a server with named roots: the content of the root without a name, then the named roots as folders. A name
 * hides what the unnamed root has under it. Only "/" itself can be asked; nothing can be changed there.
 */
export function topBackend(parts: readonly TopPart[]): Backend {
  const unnamed = parts.find((part) => part.name === "")?.backend;
  const named = parts.filter((part) => part.name !== "").sort((a, b) => (a.name < b.name ? -1 : 1));
  const hidden = new Set(named.map((part) => part.name));
  const first = unnamed ?? named[0]?.backend;
  if (!first) throw new PbError("internal", "a server without roots");

  const refuse = async (): Promise<never> => {
    throw new PbError("read_only", "the top of a server with several roots cannot be changed", { path: "/" });
  };

  async function* list(_path: string, options: ListOptions): AsyncIterable<ListBatch> {
    if (unnamed) {
      for await (const batch of unnamed.list("", options)) {
        yield { ...batch, entries: batch.entries.filter((entry) => !hidden.has(top(entry.path))) };
      }
    }
    for (const { name, backend } of named) {
      const self = await backend.stat("", { follow: false, signal: options.signal });
      yield { entries: [{ ...self, path: name }], errors: [] };
      if (!options.recursive || options.maxDepth === 1) continue;
      const deeper = options.maxDepth ? { ...options, maxDepth: options.maxDepth - 1 } : options;
      for await (const batch of backend.list("", deeper)) {
        yield { ...batch, entries: batch.entries.map((entry) => below(name, entry)) };
      }
    }
  }

  return {
    scheme: first.scheme,
    name: "",
    capabilities: { ...first.capabilities, writable: false },
    list,
    stat: (_path, options) => first.stat("", options),
    mkdir: refuse,
    touch: refuse,
    rename: refuse,
    remove: refuse,
    native: first.native,
    // The parts belong to the places.
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

function top(path: string): string {
  const cut = path.indexOf("/");
  return cut < 0 ? path : path.slice(0, cut);
}

function below(name: string, entry: Entry): Entry {
  return { ...entry, path: `${name}/${entry.path}` };
}
