import { join } from "node:path";
import type { RecoveryNote } from "../model/checkpoint.ts";
import type { CheckpointFiles } from "./files.ts";
import { ACTIVE, isSnapshotName, snapshotPath } from "./names.ts";
import { readSnapshot, type Snapshot } from "./snapshot.ts";
import type { CheckpointState } from "./state.ts";
import { reading } from "./window.ts";

/** Reads that are under way at once: more than the threads that libuv has for them would only wait. */
const PARALLEL = 4;

interface Where {
  readonly files: CheckpointFiles;
  readonly directory: string;
  readonly digest: Uint8Array;
}

export interface ReadSnapshots {
  /** Sequence, by key. */
  readonly good: ReadonlyMap<string, number>;
  readonly notes: readonly RecoveryNote[];
  readonly leftovers: readonly string[];
}

/** All snapshots into `state`; damaged ones are told and left out. @throws PbError `unsupported_version`, `wrong_job` */
export async function readSnapshots(
  where: Where,
  hasFolder: boolean,
  state: CheckpointState,
): Promise<ReadSnapshots> {
  const good = new Map<string, number>();
  const notes: RecoveryNote[] = [];
  const leftovers: string[] = [];
  const names = hasFolder ? await where.files.list(join(where.directory, ACTIVE)) : [];
  const readOne = async (name: string) => {
    const path = snapshotPath(where.directory, name);
    const snapshot = isSnapshotName(name) ? await readWhole(where, path, name) : undefined;
    if (snapshot) {
      state.restore(snapshot.part, snapshot.sequence);
      good.set(name, snapshot.sequence);
      return;
    }
    leftovers.push(path);
    if (isSnapshotName(name)) notes.push(damaged(path));
  };
  const queue = names[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (const name of queue) await readOne(name);
    }),
  );
  return { good, notes, leftovers };
}

function readWhole({ files, digest }: Where, path: string, key: string): Promise<Snapshot | undefined> {
  return reading(files.open(path, "read"), (window) => readSnapshot(window, { path, digest, key }));
}

function damaged(path: string): RecoveryNote {
  const message = `the snapshot ${path} is damaged and left out; what the journal has of this file counts`;
  return { kind: "snapshot_damaged", path, bytes: 0, message };
}
