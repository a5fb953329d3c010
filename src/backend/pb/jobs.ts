/** Jobs at a server: those that it runs for this client, and what it keeps of this client's own. */

import { createClient } from "@connectrpc/connect";
import { JobService } from "../../gen/packetboat/v1/job_pb.ts";
import { TransferService } from "../../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../../model/error.ts";
import { fromPeerError } from "../../wire/connect.ts";
import type { SessionPeer } from "../backend.ts";
import type { PbConnection } from "./connection.ts";

type PeerJobs = Pick<
  SessionPeer,
  "start" | "createJob" | "listJobs" | "showJob" | "watchJob" | "pauseJob" | "cancelJob" | "forgetJob"
>;

export function peerJobs({ peer, transport }: Pick<PbConnection, "peer" | "transport">): PeerJobs {
  const jobs = createClient(JobService, transport);
  const transfers = createClient(TransferService, transport);

  async function told<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw fromPeerError(error, { peer, signal });
    }
  }

  async function* each<T>(events: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
    try {
      yield* events;
    } catch (error) {
      throw fromPeerError(error, { peer, signal });
    }
  }

  return {
    start: (request, signal) => each(transfers.start(request, { signal }), signal),
    createJob: (request, signal) => told(jobs.createJob({ request }, { signal }), signal),
    listJobs: async (signal) => (await told(jobs.listJobs({}, { signal }), signal)).jobs,
    async showJob(id, signal) {
      const { job } = await told(jobs.showJob({ id }, { signal }), signal);
      if (job) return job;
      throw new PbError("not_found", `there is no job ${id}`, { peer });
    },
    watchJob: (id, signal) => each(jobs.watchJob({ id }, { signal }), signal),
    pauseJob: async (id, signal) => void (await told(jobs.pauseJob({ id }, { signal }), signal)),
    cancelJob: async (id, signal) => void (await told(jobs.cancelJob({ id }, { signal }), signal)),
    forgetJob: async (id, signal) => void (await told(jobs.forgetJob({ id }, { signal }), signal)),
  };
}
