/** Transfers for the command line: each is a job. */

import type { ServiceImpl } from "@connectrpc/connect";
import type { StartRequest, StartResponse, TransferService } from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import type { JobDeps } from "./jobs/deps.ts";
import { runJob } from "./jobs/run.ts";

export function createTransferService(deps: JobDeps): ServiceImpl<typeof TransferService> {
  return {
    start: (request, { signal }) =>
      request.on === "" ? runJob(deps, request, signal) : runElsewhere(deps, request, signal),
  };
}

/** At a server, which records the job; this process only looks on, and its leaving pauses the job there. */
async function* runElsewhere(
  { backends }: JobDeps,
  request: StartRequest,
  signal: AbortSignal,
): AsyncGenerator<StartResponse> {
  const { native } = await backends.open(request.on, signal);
  if (native.kind !== "session") {
    throw new PbError("unsupported", `${request.on} is no Packetboat server: it runs no jobs`, {
      peer: request.on,
    });
  }
  yield* native.peer.start({ ...request, on: "" }, signal);
}
