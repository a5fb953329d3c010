/**
 * What a server keeps of jobs that clients send to it: `STATE/checkpoints/CLIENT/JOB/` is the checkpoint, `JOB.json` beside it says
 * where the job writes. A client sees its own alone; each has few, and what is not taken up again expires.
 */

import { readdir, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ensurePrivateFolder, fileError, readText, replaceFile } from "../../credential/files.ts";
import type { Checkpoint, CheckpointStats, PartRecord, RecoveredCheckpoint } from "../../model/checkpoint.ts";
import { errnoOf } from "../../model/errno.ts";
import { PbError } from "../../model/error.ts";
import type { Caller } from "../../model/identity.ts";
import { isJobId } from "../../model/job-id.ts";
import type { Target } from "../../run/target.ts";
import { ageOf, stamp } from "./age.ts";
import { bindingOf, type Checkpoints, keptIn } from "./checkpoint.ts";

/** More than one client has use for at once; the oldest make room. */
const MAX_PER_CLIENT = 256;

/** A client that has enrolled. */
export interface KnownClient {
  readonly caller: Caller;
  readonly revoked: boolean;
}

export interface KeeperOptions {
  /** `STATE/checkpoints`. */
  readonly folder: string;
  readonly checkpoints: Checkpoints;
  /** Removes the files of parts below a target of this caller's; what is not there is gone already. */
  readonly removeParts: (caller: Caller, target: Target, parts: readonly PartRecord[]) => Promise<void>;
  /** Removes what a killed run of a job left there without a record. */
  readonly removeStrays: (caller: Caller, target: Target, jobId: string) => Promise<void>;
  readonly client: (id: string) => Promise<KnownClient | undefined>;
  /** What is not taken up again for so long is removed. */
  readonly keepMs: number;
  readonly now?: () => number;
}

export interface KeptJob {
  readonly id: string;
  /** As the caller names it. */
  readonly target: Target;
  readonly live: boolean;
  readonly changedAtMs: number;
  readonly stats: CheckpointStats | undefined;
}

export interface Entering {
  readonly jobId: string;
  /** Else what is kept under the id is discarded first. */
  readonly resume: boolean;
  readonly target: Target;
}

export interface Leaving {
  readonly discard: boolean;
  readonly ended?: boolean;
}

/** A job that is at work with its checkpoint. */
export interface Entered {
  readonly checkpoint: Checkpoint;
  /** Aborted when the job is to stop: another run of it came, or its owner cancels it. */
  readonly signal: AbortSignal;
  /** The job has ended well: what killed runs of it left is removed. */
  tidy(): Promise<void>;
  /**
   * Idempotent. The checkpoint is closed; with `discard` it goes, and the parts that it knows. `ended`: the job has ended well, so
   * what is kept will go as soon as its client knows.
   */
  leave(options: Leaving): Promise<void>;
}

interface Live {
  readonly stop: AbortController;
  readonly left: Promise<void>;
  checkpoint: Checkpoint | undefined;
  /** A run was killed with the server: it may have left what no checkpoint knows. */
  strays: boolean;
}

/** What is beside a checkpoint. */
interface Sidecar extends Target {
  /** A run is at work, or went with the server. */
  readonly open: boolean;
  /** The checkpoint may know of parts. */
  readonly parts: boolean;
  readonly strays: boolean;
}

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #live = new Map<string, Live>();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /**
   * Opens a job's checkpoint. Of one job only one run is at work: one that still is, is stopped first.
   *
   * @throws PbError `invalid_argument`, `unsupported_version`, and what the disk says
   */
  async enter(caller: Caller, entering: Entering): Promise<Entered> {
    const { jobId, resume } = entering;
    demandId(jobId);
    await this.#stop(caller, jobId, new PbError("connection_lost", "another run of the job has come"));
    let markLeft = () => {};
    const left = new Promise<void>((resolve) => {
      markLeft = resolve;
    });
    const live: Live = { stop: new AbortController(), left, checkpoint: undefined, strays: false };
    const key = keyOf(caller, jobId);
    this.#live.set(key, live);
    const gone = () => {
      if (this.#live.get(key) === live) this.#live.delete(key);
      markLeft();
    };
    try {
      if (!resume) await this.#discard(caller, jobId);
      live.strays = await this.#hasStrays(caller, jobId);
      live.checkpoint = await this.#open(caller, entering, live.strays);
      // What a damaged record knew of may still be there.
      live.strays ||= live.checkpoint.recovered.notes.length > 0;
    } catch (cause) {
      gone();
      throw cause;
    }
    let leaving: Promise<void> | undefined;
    const leave = (how: Leaving) => {
      leaving ??= this.#leave(caller, { entering, live, ...how }).finally(gone);
      return leaving;
    };
    const tidy = async () => {
      if (live.strays) await this.#options.removeStrays(caller, entering.target, jobId);
      live.strays = false;
    };
    return { checkpoint: live.checkpoint, signal: live.stop.signal, tidy, leave };
  }

  /** Newest first. */
  async list(caller: Caller): Promise<KeptJob[]> {
    const kept: KeptJob[] = [];
    for (const id of await this.#ids(caller)) {
      const file = this.#file(caller, id);
      const [found, text] = await Promise.all([
        stat(file).catch(() => undefined),
        readText(file).catch(() => undefined),
      ]);
      if (!found || text === undefined) continue;
      const live = this.#live.get(keyOf(caller, id));
      kept.push({
        id,
        target: sidecarIn(text),
        live: live !== undefined,
        changedAtMs: found.mtimeMs,
        stats: live?.checkpoint?.stats(),
      });
    }
    return kept.sort((a, b) => b.changedAtMs - a.changedAtMs);
  }

  /** What could be taken up of a job that is not at work. */
  async kept(caller: Caller, jobId: string): Promise<RecoveredCheckpoint | undefined> {
    demandId(jobId);
    const { folder, checkpoints } = this.#options;
    if (this.#live.has(keyOf(caller, jobId))) return undefined;
    return keptIn(checkpoints, join(folder, caller.clientId, jobId));
  }

  /** Stops the job if it runs, and removes what is kept of it, parts too. False when nothing was kept. */
  async discard(caller: Caller, jobId: string): Promise<boolean> {
    demandId(jobId);
    await this.#stop(caller, jobId, new PbError("aborted", "the job was cancelled"));
    return this.#discard(caller, jobId, { strays: true });
  }

  /** Removes what nobody will take up again: expired, and of clients that may not come any more. */
  async sweep(): Promise<void> {
    const { folder, client, keepMs, now = Date.now } = this.#options;
    for (const clientId of await namesIn(folder)) {
      const known = await client(clientId);
      const caller = known?.caller ?? { clientId, name: "", readOnly: false, path: "/" };
      for (const id of await this.#ids(caller)) {
        if (this.#live.has(keyOf(caller, id))) continue;
        const file = this.#file(caller, id);
        const found = await stat(file).catch(() => undefined);
        if (!found) continue;
        const age = ageOf({ mtimeMs: found.mtimeMs, nowMs: now(), keepMs });
        if (age === "implausible") await stamp(file, new Date(now()));
        if (known && !known.revoked && age !== "expired") continue;
        // One that can't be removed must not keep the others.
        await this.#discard(caller, id).catch(() => undefined);
      }
    }
  }

  async #hasStrays(caller: Caller, jobId: string): Promise<boolean> {
    const text = await readText(this.#file(caller, jobId)).catch(() => undefined);
    const { open, strays } = sidecarIn(text);
    return open || strays;
  }

  async #open(caller: Caller, { jobId, target }: Entering, strays: boolean): Promise<Checkpoint> {
    const { folder, checkpoints } = this.#options;
    await ensurePrivateFolder(join(folder, caller.clientId));
    await this.#makeRoom(caller, jobId);
    const directory = join(folder, caller.clientId, jobId);
    const open = () => checkpoints.open({ directory, binding: bindingOf(jobId, target) });
    const checkpoint = await open().catch(async (cause: unknown) => {
      // The job goes elsewhere now than it did: what is there is of no use to it.
      if (PbError.from(cause).code !== "wrong_job") throw cause;
      await this.#discard(caller, jobId);
      return open();
    });
    try {
      await this.#note(caller, jobId, { ...target, open: true, parts: true, strays });
    } catch (cause) {
      await checkpoint.close();
      throw cause;
    }
    return checkpoint;
  }

  async #leave(
    caller: Caller,
    { entering, live, discard, ended = false }: { entering: Entering; live: Live } & Leaving,
  ): Promise<void> {
    const { jobId, target } = entering;
    const parts = live.checkpoint === undefined || live.checkpoint.progress().length > 0;
    await live.checkpoint?.close({ asItIs: ended });
    await this.#note(caller, jobId, { ...target, open: false, parts, strays: live.strays });
    if (discard) await this.#discard(caller, jobId);
    else await stamp(this.#file(caller, jobId), new Date((this.#options.now ?? Date.now)()));
  }

  async #note(caller: Caller, jobId: string, sidecar: Sidecar): Promise<void> {
    await replaceFile(this.#file(caller, jobId), `${JSON.stringify(sidecar)}\n`);
  }

  async #stop(caller: Caller, jobId: string, reason: PbError): Promise<void> {
    // Whoever waited beside us may have come first.
    for (let live = this.#live.get(keyOf(caller, jobId)); live; live = this.#live.get(keyOf(caller, jobId))) {
      live.stop.abort(reason);
      await live.left;
    }
  }

  /** The parts first: as long as one may be there, so is what knows of it. With `strays` also those that no record names. */
  async #discard(caller: Caller, jobId: string, look = { strays: false }): Promise<boolean> {
    const { folder, checkpoints, removeParts, removeStrays } = this.#options;
    const file = this.#file(caller, jobId);
    const directory = join(folder, caller.clientId, jobId);
    const text = await readText(file).catch(() => undefined);
    const there = await stat(directory).catch(() => undefined);
    if (there && text !== undefined) {
      const { open, strays, parts: has, ...target } = sidecarIn(text);
      // To read what is known of a million finished files takes most of a second.
      const { parts } = (has ? await keptIn(checkpoints, directory) : undefined) ?? { parts: [] };
      if (parts.length > 0) await removeParts(caller, target, parts);
      if (open || strays || look.strays) await removeStrays(caller, target, jobId);
    }
    try {
      await rm(directory, { recursive: true, force: true });
      await unlink(file).catch(ignoreMissing);
    } catch (cause) {
      throw fileError(cause, directory);
    }
    return there !== undefined;
  }

  async #makeRoom(caller: Caller, jobId: string): Promise<void> {
    const kept = (await this.list(caller)).filter(({ id }) => id !== jobId);
    if (kept.length < MAX_PER_CLIENT) return;
    const oldest = kept.filter(({ live }) => !live).at(-1);
    if (oldest) await this.#discard(caller, oldest.id);
    else throw new PbError("resource_exhausted", `this client has ${kept.length} jobs at work here`);
  }

  async #ids({ clientId }: Caller): Promise<string[]> {
    const names = await namesIn(join(this.#options.folder, clientId));
    return names
      .map((name) => name.replace(/\.json$/, ""))
      .filter((name, at, all) => {
        return isJobId(name) && all.indexOf(name) === at;
      });
  }

  #file({ clientId }: Caller, jobId: string): string {
    return join(this.#options.folder, clientId, `${jobId}.json`);
  }
}

function keyOf({ clientId }: Caller, jobId: string): string {
  return `${clientId}/${jobId}`;
}

/** It becomes a file's name. */
function demandId(jobId: string): void {
  if (!isJobId(jobId)) throw new PbError("invalid_argument", "a job's id is a UUID, in lower case");
}

function sidecarIn(text: string | undefined): Sidecar {
  try {
    const { path, exactName, open, parts, strays } = JSON.parse(text ?? "") as Partial<
      Record<keyof Sidecar, unknown>
    >;
    return {
      path: typeof path === "string" ? path : "",
      exactName: exactName === true,
      open: open === true,
      parts: parts !== false,
      strays: strays === true,
    };
  } catch {
    return { path: "", exactName: false, open: false, parts: true, strays: false };
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT" || errnoOf(cause) === "ENOTDIR") return [];
    throw fileError(cause, folder);
  }
}

function ignoreMissing(cause: unknown): void {
  if (errnoOf(cause) !== "ENOENT") throw cause;
}
