import type { ServiceImpl } from "@connectrpc/connect";
import type { Job, JobService } from "../../gen/packetboat/v1/job_pb.ts";
import type { StartResponse } from "../../gen/packetboat/v1/transfer_pb.ts";
import type { LiveJob } from "./live.ts";
import type { JobStore } from "./store.ts";
import { jobView } from "./view.ts";

/** What a running job answers on its socket; the id in a request is its own. */
export function liveService(store: JobStore, live: LiveJob): Partial<ServiceImpl<typeof JobService>> {
  const view = async (): Promise<Job> => jobView(await store.read(live.id), { live });
  return {
    showJob: async () => ({ job: await view() }),
    watchJob: (): AsyncIterable<StartResponse> => live.watch(),
    async pauseJob() {
      await live.stop("pause");
      return { job: await view() };
    },
    async cancelJob() {
      await live.stop("cancel");
      return { job: await view() };
    },
  };
}
