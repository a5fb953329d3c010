import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type StartRequest,
  StartRequestSchema,
  type TransferOptions,
  TransferOptionsSchema,
} from "../../gen/packetboat/v1/transfer_pb.ts";

/**
 * SHA-256, lower-case hex, over what decides what the destination will hold: the same text, the same transfer. How it
 * travels (lanes, transport, memory, limit, chunk size, seal, controller) is free to differ between runs of one job.
 */
export function fingerprintOf(request: StartRequest): string {
  const { sources, patterns, destination, several, move, options, sourceFd, destinationFd } = request;
  const deciding = create(StartRequestSchema, {
    // Patterns match something else once a part of it was moved.
    ...(patterns.length > 0 ? { patterns } : { sources }),
    ...(destination && { destination }),
    options: contentOptions(options),
    several,
    move,
    ...(sourceFd !== undefined && { sourceFd }),
    ...(destinationFd !== undefined && { destinationFd }),
  });
  return createHash("sha256").update(toBinary(StartRequestSchema, deciding)).digest("hex");
}

function contentOptions(options: TransferOptions | undefined): TransferOptions {
  const wire = options ?? create(TransferOptionsSchema);
  const { filters, filesFrom, minSize, maxSize, minAge, maxAge, overwrite, permsOff, owner, follow } = wire;
  const bounds = {
    ...(minSize !== undefined && { minSize }),
    ...(maxSize !== undefined && { maxSize }),
    ...(minAge !== undefined && { minAge }),
    ...(maxAge !== undefined && { maxAge }),
  };
  return create(TransferOptionsSchema, {
    filters,
    filesFrom,
    ...bounds,
    overwrite,
    permsOff,
    owner,
    follow,
  });
}
