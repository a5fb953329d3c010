/**
 * Transfers that a client leaves to the server (`pb transfer --on`): between what the client may see here and remotes of the server's own, by
 * their names in STATE/remotes.toml, with the secrets of the server's own store. A remote is nobody's but those its owner allows.
 */

import { join } from "node:path";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Backends } from "../backend/registry.ts";
import { ensurePrivateFolder } from "../credential/files.ts";
import { allowedClients, openRemoteTables } from "../credential/remote-tables.ts";
import type { StartRequest, StartResponse, TransferService } from "../gen/packetboat/v1/transfer_pb.ts";
import type { Location } from "../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import { pathBytes, pathText } from "../model/path.ts";
import { callerOf } from "./caller.ts";
import type { JobDeps } from "./jobs/deps.ts";
import type { LiveJob } from "./jobs/live.ts";
import { runJob } from "./jobs/run.ts";
import { openJobs } from "./jobs/store.ts";
import type { LiveClients } from "./live.ts";
import type { Places } from "./places.ts";

export interface ServerTransfersOptions extends Omit<JobDeps, "backends" | "store" | "live"> {
  /** The server's own folder. */
  readonly state: string;
  readonly places: Places;
  /** The server's own remotes. */
  readonly remotes: Pick<Backends, "open">;
  /** A client that may not come any more has its jobs stopped. */
  readonly track: LiveClients["track"];
}

/** Of one server: several that wait for one another's places would be in each other's way. */
const MAX_JOBS_PER_CLIENT = 16;

export function createServerTransfers(options: ServerTransfersOptions): ServiceImpl<typeof TransferService> {
  const { state, places, remotes, track, ...tools } = options;
  /** By client. */
  const running = new Map<string, Map<string, LiveJob>>();

  /** @throws PbError `not_found` for a remote that is not there, or not for this client: nobody learns which */
  async function demandAllowed({ clientId }: Caller, name: string): Promise<void> {
    const table = (await openRemoteTables(state).read()).get(name);
    const allowed = table ? allowedClients(table) : [];
    if (allowed.includes("*") || allowed.includes(clientId)) return;
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

  async function* start(request: StartRequest, context: HandlerContext): AsyncGenerator<StartResponse> {
    const caller = callerOf(context);
    const found = await admitted(caller, request);
    const { root } = found;
    const live = running.get(caller.clientId) ?? new Map<string, LiveJob>();
    running.set(caller.clientId, live);
    if (live.size >= MAX_JOBS_PER_CLIENT) {
      throw new PbError("resource_exhausted", `this client has ${live.size} jobs at work here`);
    }
    // Never a client's word for another's: each has its own records, for each root.
    const home = join(state, "served", caller.clientId, root === undefined || root === "" ? "_" : root);
    await ensurePrivateFolder(home);
    const local = root === undefined ? undefined : await places.open(caller, root);
    const backends: JobDeps["backends"] = {
      async open(remote, signal) {
        if (remote !== "") {
          await demandAllowed(caller, remote);
          return remotes.open(remote, signal);
        }
        if (local) return local;
        throw new PbError("internal", "a job between remotes has no place here");
      },
    };
    const taken = new AbortController();
    const untrack = track(caller.grant ?? caller.clientId, () => {
      taken.abort(new PbError("revoked", "the access of this client was revoked or has ended"));
    });
    try {
      const signal = AbortSignal.any([context.signal, taken.signal]);
      yield* runJob({ ...tools, backends, store: openJobs(home), live }, found.request, signal);
    } finally {
      untrack();
      if (live.size === 0 && running.get(caller.clientId) === live) running.delete(caller.clientId);
    }
  }

  return { start };
}

/** What only a process can ask of itself, and what would let a client choose where this server connects. */
function refuseForeign(request: StartRequest): void {
  const { sourceFd, destinationFd, manifestFile, traceFile, jobId, on, sources, destination } = request;
  const isOwn =
    sourceFd !== undefined || destinationFd !== undefined || manifestFile !== "" || traceFile !== "";
  if (isOwn || jobId !== "" || on !== "") {
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
