import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { FileService } from "../gen/packetboat/v1/file_pb.ts";
import { JobService } from "../gen/packetboat/v1/job_pb.ts";
import { TransferService } from "../gen/packetboat/v1/transfer_pb.ts";

/** How a command asks the daemon in its own process. */
export interface Clients {
  readonly files: Client<typeof FileService>;
  readonly transfers: Client<typeof TransferService>;
  readonly jobs: Client<typeof JobService>;
}

export function clientsOf(transport: Transport): Clients {
  return {
    files: createClient(FileService, transport),
    transfers: createClient(TransferService, transport),
    jobs: createClient(JobService, transport),
  };
}
