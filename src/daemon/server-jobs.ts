/**
 * JobService of a server, for each client alone: the jobs that the server runs for it (`pb transfer --on`), and what is kept of those that
 * the client runs itself and sends here.
 */

import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Job, JobSchema, type JobService } from "../gen/packetboat/v1/job_pb.ts";
import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import { callerOf } from "./caller.ts";
import { createJobService } from "./jobs/service.ts";
import { keptFields, statsView } from "./jobs/view.ts";
import type { Keeper, KeptJob } from "./kept/keeper.ts";
import { findServed, type ServerTransfers } from "./server-transfers.ts";

export function createServerJobs(
  keeper: Keeper,
  transfers: Pick<ServerTransfers, "begin" | "homes">,
): ServiceImpl<typeof JobService> {
  /** The service over the jobs among which this one is. @throws PbError `not_found` */
  async function serving(caller: Caller, id: string): Promise<ServiceImpl<typeof JobService>> {
    return createJobService((await findServed(await transfers.homes(caller), id)).deps);
  }

  /** Undefined for one that only the keeper may know. */
  async function served(caller: Caller, id: string) {
    try {
      return await serving(caller, id);
    } catch (cause) {
      if (PbError.from(cause).code === "not_found") return undefined;
      throw cause;
    }
  }

  async function discard(caller: Caller, id: string): Promise<void> {
    if (!(await keeper.discard(caller, id))) throw unknown(id);
  }

  return {
    async listJobs(request, context) {
      refuseFurther(request);
      const caller = callerOf(context);
      const lists = (await transfers.homes(caller)).map(
        async (deps) => (await createJobService(deps).listJobs(request, context)).jobs ?? [],
      );
      const own = (await Promise.all(lists)).flat() as Job[];
      own.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
      return { jobs: [...own, ...(await keeper.list(caller)).map(view)] };
    },

    async showJob(request, context) {
      refuseFurther(request);
      const { id } = request;
      const caller = callerOf(context);
      const own = await served(caller, id);
      if (own) return own.showJob(request, context);
      const job = (await keeper.list(caller)).find((each) => each.id === id);
      if (!job) throw unknown(id);
      const kept = await keeper.kept(caller, id);
      return { job: { ...view(job), ...(kept && keptFields(kept)) } };
    },

    async createJob({ request }, context) {
      if (!request) throw new PbError("invalid_argument", "there is no request to run");
      return transfers.begin(callerOf(context), request, context.signal);
    },

    async *watchJob(request, context) {
      refuseFurther(request);
      yield* (await serving(callerOf(context), request.id)).watchJob(request, context);
    },

    async pauseJob(request, context) {
      refuseFurther(request);
      return (await serving(callerOf(context), request.id)).pauseJob(request, context);
    },

    async cancelJob(request, context) {
      refuseFurther(request);
      const caller = callerOf(context);
      const own = await served(caller, request.id);
      if (own) return own.cancelJob(request, context);
      await discard(caller, request.id);
      return {};
    },

    async forgetJob(request, context) {
      refuseFurther(request);
      const caller = callerOf(context);
      const own = await served(caller, request.id);
      if (own) return own.forgetJob(request, context);
      await discard(caller, request.id);
      return {};
    },
  };
}

/** Whom this server asks in turn is not for its clients to say. */
function refuseFurther({ remote }: { readonly remote: string }): void {
  if (remote !== "") throw new PbError("invalid_argument", "a server tells of its own jobs alone");
}

function view({ id, target, live, changedAtMs, stats }: KeptJob): Job {
  return create(JobSchema, {
    id,
    state: live ? "running" : "interrupted",
    destination: target.path === "" ? "/" : `/${target.path}`,
    resumable: true,
    changedAt: new Date(changedAtMs).toISOString(),
    ...(stats && { checkpoint: statsView(stats) }),
  });
}

/** Another client's, or none: nobody learns which. */
function unknown(id: string): PbError {
  return new PbError("not_found", `there is no job ${id} here`);
}
