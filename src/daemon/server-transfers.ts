/**
 * Transfers that a client leaves to the server (`pb transfer --on`): between what the client may see here and remotes of the server's own, by
 * their names in STATE/remotes.toml, with the secrets of the server's own store. A remote is nobody's but those its owner allows.
 */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Backends } from "../backend/registry.ts";
import { ensurePrivateFolder } from "../credential/files.ts";
import { allowedClients, openRemoteTables } from "../credential/remote-tables.ts";
import type { StartRequest, StartResponse, TransferService } from "../gen/packetboat/v1/transfer_pb.ts";
import type { Location } from "../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import { pathBytes, pathText } from "../model/path.ts";
import { callerOf, takenFrom } from "./caller.ts";
import type { JobDeps } from "./jobs/deps.ts";
import type { LiveJob } from "./jobs/live.ts";
import { openJob } from "./jobs/open.ts";
import { runJob } from "./jobs/run.ts";
import { openJobs, running, type StoredJob } from "./jobs/store.ts";
import type { LiveClients } from "./live.ts";
import type { Places } from "./places.ts";

export interface ServerTransfersOptions extends Omit<JobDeps, "backends" | "machine" | "store" | "live"> {
  /** The server's own folder. */
  readonly state: string;
  readonly places: Places;
  /** The server's own remotes. */
  readonly remotes: Pick<Backends, "open" | "watch" | "renew">;
  /** A client that may not come any more has its jobs stopped. */
  readonly track: LiveClients["track"];
}

export interface ServerTransfers extends AsyncDisposable {
  readonly service: ServiceImpl<typeof TransferService>;
  /** Records the job and runs it, whether or not anybody looks on. */
  begin(
    caller: Caller,
    request: StartRequest,
    signal: AbortSignal,
  ): Promise<{ readonly id: string; readonly resumed: boolean }>;
  /** What the jobs of a caller are looked after with: one for each root that has had some. */
  homes(caller: Caller): Promise<readonly JobDeps[]>;
  /** Pauses what runs. Idempotent. */
  close(): Promise<void>;
}

/** Of one server: several that wait for one another's places would be in each other's way. */
const MAX_JOBS_PER_CLIENT = 16;

/** The folder of jobs without a place here, and of the root without a name. */
const NAMELESS = "_";

interface Running {
  readonly live: Map<string, LiveJob>;
  count: number;
}

interface Prepared {
  readonly deps: JobDeps;
  readonly request: StartRequest;
}

export function createServerTransfers(options: ServerTransfersOptions): ServerTransfers {
  const { state, places, remotes, track, ...tools } = options;
  /** By client. */
  const busy = new Map<string, Running>();
  const left = new Set<Promise<void>>();
  const closing = new AbortController();
  /** What its table said of each remote when it was opened last. */
  const tables = new Map<string, string>();

  /**
   * What the server's owner has changed of a remote counts from the next job on.
   *
   * @throws PbError `unknown_remote` for a remote that is not there, or not for this client: nobody learns which
   */
  async function demandAllowed({ clientId }: Caller, name: string): Promise<void> {
    const table = (await openRemoteTables(state).read()).get(name);
    const allowed = table ? allowedClients(table) : [];
    if (allowed.includes("*") || allowed.includes(clientId)) {
      const said = JSON.stringify({ ...table, allow: [] });
      if (tables.has(name) && tables.get(name) !== said) remotes.renew(name);
      tables.set(name, said);
      return;
    }
    throw new PbError("unknown_remote", `this server has no remote ${name} for this client`, {
      peer: name,
      hint: "its owner adds one: pb remote add --state DIR, then pb remote allow --state DIR",
    });
  }

  /** With the paths of the one root that they are in. */
  async function admitted(caller: Caller, request: StartRequest) {
    refuseForeign(request);
    const { sources, destination, move } = request;
    if (!destination || sources.length === 0) {
      throw new PbError("invalid_argument", "a transfer has sources and a destination");
    }
    const roots = new Set<string>();
    const place = async (location: Location, writes: boolean): Promise<Location> => {
      if (writes && caller.readOnly) {
        throw new PbError("read_only", "nothing may be changed with this access", {
          path: pathText(location.path),
        });
      }
      if (location.remote !== "") {
        await demandAllowed(caller, location.remote);
        return location;
      }
      const { root, rest } = places.within(caller, pathText(location.path));
      roots.add(root);
      return { ...location, path: pathBytes(`/${rest}`) };
    };
    const to = await place(destination, true);
    const from: Location[] = [];
    for (const source of sources) from.push(await place(source, move));
    const [root, ...others] = roots;
    if (others.length > 0) {
      throw new PbError("unsupported", "a job of a server stays within one of its roots", {
        hint: "without --on it goes from one to the other",
      });
    }
    return { root, request: { ...request, sources: from, destination: to } };
  }

  function runningOf({ clientId }: Caller): Running {
    const known = busy.get(clientId);
    if (known) return known;
    const made: Running = { live: new Map(), count: 0 };
    busy.set(clientId, made);
    return made;
  }

  const folderOf = ({ clientId }: Caller) => join(state, "served", clientId);

  /** Never a client's word for another's: each has its own records, for each root. */
  function depsOf(caller: Caller, folder: string): JobDeps {
    const root = folder === NAMELESS ? "" : folder;
    const backends: JobDeps["backends"] = {
      async open(remote, signal) {
        if (remote === "") return places.open(caller, root);
        await demandAllowed(caller, remote);
        return remotes.open(remote, signal);
      },
      watch: remotes.watch,
    };
    const store = openJobs(join(folderOf(caller), folder));
    // Not one of the caller's roots: what is on its way is nobody's to see.
    const machine = () => remotes.open("", closing.signal);
    return { ...tools, backends, machine, store, live: runningOf(caller).live };
  }

  async function homes(caller: Caller): Promise<readonly JobDeps[]> {
    const names = await readdir(folderOf(caller)).catch((): string[] => []);
    return names.map((name) => depsOf(caller, name));
  }

  async function prepare(caller: Caller, asked: StartRequest): Promise<Prepared> {
    if (asked.jobId !== "") return named(caller, asked);
    const { root, request } = await admitted(caller, asked);
    const deps = depsOf(caller, root || NAMELESS);
    if (root !== undefined) await places.open(caller, root);
    await ensurePrivateFolder(join(folderOf(caller), root || NAMELESS));
    return { deps, request };
  }

  /** A job of this caller goes on: as it was asked for, with the rights of now. */
  async function named(caller: Caller, request: StartRequest): Promise<Prepared> {
    refuseForeign(request);
    const { deps, job } = await findServed(await homes(caller), request.jobId);
    const path = job.record.destination;
    if (caller.readOnly) throw new PbError("read_only", "nothing may be changed with this access", { path });
    return { deps, request: { ...request, jobId: job.record.id } };
  }

  /** Room for one more job of the caller, until what is returned is called. @throws PbError `resource_exhausted` */
  function takeRoom(caller: Caller): () => void {
    const mine = runningOf(caller);
    if (mine.count >= MAX_JOBS_PER_CLIENT) {
      throw new PbError("resource_exhausted", `this client has ${mine.count} jobs at work here`);
    }
    mine.count += 1;
    return () => {
      mine.count -= 1;
      if (mine.count === 0 && busy.get(caller.clientId) === mine) busy.delete(caller.clientId);
    };
  }

  /** What `work` does ends with the caller's access and this server. */
  async function* whileAllowed(
    caller: Caller,
    signal: AbortSignal,
    work: (signal: AbortSignal) => AsyncGenerator<StartResponse>,
  ): AsyncGenerator<StartResponse> {
    const taken = new AbortController();
    const untrack = track(caller.grant ?? caller.clientId, () => {
      taken.abort(takenFrom(caller));
    });
    try {
      yield* work(AbortSignal.any([signal, taken.signal, closing.signal]));
    } finally {
      untrack();
    }
  }

  async function* start(caller: Caller, request: StartRequest, signal: AbortSignal) {
    const { deps, request: asked } = await prepare(caller, request);
    const leave = takeRoom(caller);
    try {
      yield* whileAllowed(caller, signal, (ending) => runJob(deps, asked, ending));
    } finally {
      leave();
    }
  }

  async function begin(caller: Caller, asked: StartRequest, signal: AbortSignal) {
    const { deps, request } = await prepare(caller, asked);
    if (request.dryRun) throw new PbError("invalid_argument", "what writes nothing needs somebody who reads");
    // Before anything is recorded: a job that nobody would run is none.
    const leave = takeRoom(caller);
    try {
      const { job, resumed } = await openJob(deps, request, signal);
      const { id } = job.record;
      if (job.status === "running") throw running(id);
      const { deadlineMs, retries, keepHistorySeconds } = request;
      const own = { ...request, jobId: id, sources: [], deadlineMs, keepHistorySeconds };
      const again = retries === undefined ? own : { ...own, retries };
      const run = drain(whileAllowed(caller, closing.signal, (ending) => runJob(deps, again, ending)));
      left.add(run);
      void run.finally(() => left.delete(run)).finally(leave);
      return { id, resumed };
    } catch (cause) {
      leave();
      throw cause;
    }
  }

  async function close(): Promise<void> {
    closing.abort(new PbError("aborted", "this server stops"));
    await Promise.allSettled([...left]);
  }

  return {
    service: {
      start: (request, context) => start(callerOf(context), request, context.signal),
    },
    begin,
    homes,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** How it went is in the job's record. */
async function drain(events: AsyncIterable<StartResponse>): Promise<void> {
  try {
    for await (const _ of events);
  } catch {
    // Recorded by the run.
  }
}

/** @throws PbError `not_found`, `invalid_argument` when several fit */
export async function findServed(
  homes: readonly JobDeps[],
  id: string,
): Promise<{ readonly deps: JobDeps; readonly job: StoredJob }> {
  const found: { deps: JobDeps; job: StoredJob }[] = [];
  for (const deps of homes) {
    try {
      found.push({ deps, job: await deps.store.find(id) });
    } catch (cause) {
      if (PbError.from(cause).code !== "not_found") throw cause;
    }
  }
  const [one, ...others] = found;
  if (one && others.length === 0) return one;
  if (one)
    throw new PbError("invalid_argument", `${found.length} jobs fit ${id}`, { hint: "give more of the id" });
  throw new PbError("not_found", `there is no job ${id} here`);
}

/** What only a process can ask of itself, and what would let a client choose where this server connects. */
function refuseForeign(request: StartRequest): void {
  const { sourceFd, destinationFd, manifestFile, traceFile, on, sources, destination } = request;
  const isOwn =
    sourceFd !== undefined || destinationFd !== undefined || manifestFile !== "" || traceFile !== "";
  if (isOwn || on !== "") {
    throw new PbError(
      "invalid_argument",
      "a server reads and writes no files or streams of a caller's choice",
    );
  }
  for (const { remote } of [...sources, ...(destination ? [destination] : [])]) {
    if (/^[A-Za-z0-9_.-]*$/.test(remote)) continue;
    throw new PbError("unsupported", "a server goes to remotes of its own, by name, and to no URLs", {
      hint: "its owner adds one: pb remote add --state DIR",
    });
  }
}
