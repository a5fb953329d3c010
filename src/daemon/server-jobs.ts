/** JobService of a server: what it keeps of the jobs that a client sends to it, for that client alone. */

import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Job, JobSchema, type JobService } from "../gen/packetboat/v1/job_pb.ts";
import { PbError } from "../model/error.ts";
import { callerOf } from "./caller.ts";
import { keptFields, statsView } from "./jobs/view.ts";
import type { Keeper, KeptJob } from "./kept/keeper.ts";

export function createServerJobs(keeper: Keeper): Partial<ServiceImpl<typeof JobService>> {
  return {
    listJobs: async (_, context) => ({ jobs: (await keeper.list(callerOf(context))).map(view) }),

    async showJob({ id }, context) {
      const caller = callerOf(context);
      const job = (await keeper.list(caller)).find((each) => each.id === id);
      if (!job) throw unknown(id);
      const kept = await keeper.kept(caller, id);
      return { job: { ...view(job), ...(kept && keptFields(kept)) } };
    },

    async cancelJob({ id }, context) {
      if (!(await keeper.discard(callerOf(context), id))) throw unknown(id);
      return {};
    },

    async forgetJob({ id }, context) {
      if (!(await keeper.discard(callerOf(context), id))) throw unknown(id);
      return {};
    },
  };
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
