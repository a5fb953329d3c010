/** A listing in the contract's order at an endpoint that lists one folder at a time: the next folders are asked for ahead, so that round trips do not add up. */
import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { pathBytes } from "../model/path.ts";
import type { ListBatch } from "./backend.ts";

/** Folders asked for ahead at each level. */
const AHEAD = 4;
/** The contract's most of a batch. */
const BATCH = 1_000;

/** One folder's own entries, in any order, their paths relative to what is listed. */
export interface Folder {
  readonly entries: readonly Entry[];
  /** Of what the server listed and nobody can use. */
  readonly errors: readonly PbError[];
}

export interface WalkOptions {
  /** @param at relative to what is listed; "" first. What it throws is an element of `errors`, unless it is of the first or an abort. */
  readonly read: (at: string) => Promise<Folder>;
  /** Levels below; 0: all. */
  readonly levels: number;
}

/** @throws what `read("")` throws */
export function walkFolders({ read, levels }: WalkOptions): AsyncGenerator<ListBatch, void, void> {
  return inBatches(below(reader(read), reader(read)(""), levels));
}

type Read = (at: string) => Promise<Folder>;

function reader(read: Read): Read {
  return async (at) => {
    try {
      const { entries, errors } = await read(at);
      return { entries: sorted(entries), errors };
    } catch (error) {
      const failure = PbError.from(error);
      if (at === "" || failure.code === "aborted") throw failure;
      return { entries: [], errors: [failure] };
    }
  };
}

function sorted(entries: readonly Entry[]): readonly Entry[] {
  return entries
    .map((entry) => ({ entry, bytes: pathBytes(entry.path) }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ entry }) => entry);
}

async function* below(
  read: Read,
  content: Promise<Folder>,
  levels: number,
): AsyncGenerator<Entry | PbError, void, void> {
  const { entries, errors } = await content;
  yield* errors;
  const folders = levels === 1 ? [] : entries.filter((entry) => entry.kind === "directory");
  const ahead = readAhead(folders, ({ path }) => read(path));
  for (const entry of entries) {
    yield entry;
    if (levels === 1 || entry.kind !== "directory") continue;
    const opened = ahead.next();
    if (opened) yield* below(read, opened, Math.max(0, levels - 1));
  }
}

function readAhead(
  folders: readonly Entry[],
  open: (folder: Entry) => Promise<Folder>,
): { next(): Promise<Folder> | undefined } {
  const opened: Promise<Folder>[] = [];
  let asked = 0;
  return {
    next() {
      for (; asked < folders.length && opened.length <= AHEAD; asked += 1) {
        const one = open(folders[asked] as Entry);
        // Whoever comes to it hears of its failure; until then nobody listens.
        one.catch(() => {});
        opened.push(one);
      }
      return opened.shift();
    },
  };
}

async function* inBatches(found: AsyncIterable<Entry | PbError>): AsyncGenerator<ListBatch, void, void> {
  let entries: Entry[] = [];
  let errors: PbError[] = [];
  for await (const one of found) {
    if (one instanceof PbError) errors.push(one);
    else entries.push(one);
    if (entries.length < BATCH) continue;
    yield { entries, errors };
    entries = [];
    errors = [];
  }
  if (entries.length > 0 || errors.length > 0) yield { entries, errors };
}

/** Runs over all items, `limit` at once; the first failure is the caller's, and no more are begun after it. */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  run: (item: T, index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const worker = async () => {
    while (!failed && next < items.length) {
      const index = next++;
      try {
        await run(items[index] as T, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
