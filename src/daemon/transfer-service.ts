/** Transfers for the command line: each is a job. */

import type { ServiceImpl } from "@connectrpc/connect";
import type { TransferService } from "../gen/packetboat/v1/transfer_pb.ts";
import type { JobDeps } from "./jobs/deps.ts";
import { runJob } from "./jobs/run.ts";

export function createTransferService(deps: JobDeps): ServiceImpl<typeof TransferService> {
  return { start: (request, { signal }) => runJob(deps, request, signal) };
}
