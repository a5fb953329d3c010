import { join } from "node:path";
import { type CheckpointBinding, DONE_RECORD_BYTES, type RecoveryNote } from "../model/checkpoint.ts";
import { checkBinding, readBinding } from "./binding.ts";
import { copied } from "./bytes.ts";
import { type ReadDone, readDone } from "./done-read.ts";
import type { CheckpointFiles } from "./files.ts";
import { bindingDigest } from "./header.ts";
import { findChain, type Generation, replayChain } from "./journal-read.ts";
import { ACTIVE, BINDING, DONE, journalName, TEMPORARY } from "./names.ts";
import { readSnapshots } from "./snapshots-read.ts";
import { CheckpointState } from "./state.ts";
import { reading } from "./window.ts";

/** What the files of a checkpoint say; reading changes nothing. */
export interface Recovery {
  readonly state: CheckpointState;
  readonly digest: Uint8Array;
  readonly notes: readonly RecoveryNote[];
  /** The binding is there and whole. */
  readonly bound: boolean;
  /** When the binding was written, ms since 1970; undefined: there was none. */
  readonly begunMs: number | undefined;
  /** There is a folder for snapshots. */
  readonly hasActive: boolean;
  /** Generations of the journal that count, oldest first. */
  readonly chain: readonly Generation[];
  /** Of the last batch of the journal that counts. */
  readonly follows: number;
  /** The highest number of a generation that is there, whether it counts or not; 0: none. */
  readonly newest: number;
  /** Sequence of the good snapshots on disk, by key. */
  readonly snapshots: ReadonlyMap<string, number>;
  /** Finished files that the index has not yet. */
  readonly pendingDone: readonly Uint8Array[];
  /** undefined: there is no index. */
  readonly done: ReadDone | undefined;
  /** Paths of no more use. */
  readonly leftovers: readonly string[];
}

export interface RecoverOptions {
  readonly files: CheckpointFiles;
  readonly directory: string;
  readonly binding: CheckpointBinding;
  /** Gather the hashes of finished files, too. */
  readonly hashes?: boolean;
}

interface Where {
  readonly files: CheckpointFiles;
  readonly directory: string;
  readonly digest: Uint8Array;
}

/** Of a folder that exists. @throws PbError `wrong_job`, `unsupported_version`, and what reading may fail with */
export async function recover({
  files,
  directory,
  binding,
  hashes = false,
}: RecoverOptions): Promise<Recovery> {
  const names = await files.list(directory);
  const found = names.includes(BINDING) ? await readBinding(files, directory) : undefined;
  if (found !== undefined && found !== "damaged") checkBinding(found, binding, directory);
  const where = { files, directory, digest: bindingDigest(binding) };

  const { generations: chain, present, notes: chainNotes } = await findChain(where, names);
  const state = new CheckpointState(await expectedDone(where, names, chain), { hashes });
  const snapshots = await readSnapshots(where, names.includes(ACTIVE), state);
  const done = names.includes(DONE) ? await readDone(where, (each) => state.addDone(each)) : undefined;
  const replay = await replayInto(files, chain, { state, covered: done?.sequence ?? 0 });
  const lost = dropLost(state, directory);
  for (const [, entry] of state.files.entries()) entry.workers.clear();
  return {
    state,
    digest: where.digest,
    notes: [
      ...(found === "damaged" ? [bindingNote(join(directory, BINDING))] : []),
      ...[...snapshots.notes, ...(done?.notes ?? []), ...chainNotes, ...replay.notes, ...lost],
    ],
    bound: found !== undefined && found !== "damaged",
    begunMs: found === undefined ? undefined : await files.modified(join(directory, BINDING)),
    hasActive: names.includes(ACTIVE),
    chain,
    follows: replay.sequence,
    newest: present[0] ?? 0,
    snapshots: snapshots.good,
    pendingDone: replay.pendingDone,
    done,
    leftovers: [...leftoversOf(directory, names, chain), ...snapshots.leftovers],
  };
}

/** Not fewer keys than there will be. */
async function expectedDone(
  { files, directory }: Where,
  names: readonly string[],
  chain: readonly Generation[],
): Promise<number> {
  const journal = chain.reduce((sum, { bytes }) => sum + bytes, 0);
  const index = names.includes(DONE)
    ? await reading(files.open(join(directory, DONE), "read"), async ({ size }) => size)
    : 0;
  return Math.ceil((journal + index) / DONE_RECORD_BYTES);
}

async function replayInto(
  files: CheckpointFiles,
  chain: readonly Generation[],
  { state, covered }: { state: CheckpointState; covered: number },
) {
  const pendingDone: Uint8Array[] = [];
  const replayed = await replayChain(files, chain, (batch) => {
    state.apply(batch);
    if (batch.sequence > covered && batch.done.length > 0) pendingDone.push(copied(batch.done));
  });
  state.sequence = Math.max(state.sequence, replayed.sequence, covered);
  return { ...replayed, pendingDone };
}

/** Their snapshot is damaged, and the journal tells only how they went on. */
function dropLost(state: CheckpointState, directory: string): RecoveryNote[] {
  return [...state.lost].map((key) => {
    state.files.delete(key);
    state.lost.delete(key);
    const message = `the beginning of part ${key} is not known any more, so this file begins anew`;
    return { kind: "snapshot_damaged", path: join(directory, ACTIVE, key), bytes: 0, message };
  });
}

function leftoversOf(directory: string, names: readonly string[], chain: readonly Generation[]): string[] {
  const counts = new Set([BINDING, DONE, ...chain.map(({ generation }) => journalName(generation))]);
  const ours = (name: string) => name.endsWith(TEMPORARY) || name.startsWith("journal-");
  return names.filter((name) => ours(name) && !counts.has(name)).map((name) => join(directory, name));
}

function bindingNote(path: string): RecoveryNote {
  const message = `${path} is damaged; what it says is in the other files too, and it is written again`;
  return { kind: "binding_damaged", path, bytes: 0, message };
}
