/** Transfers for the command line: locations become open places, run/ does the rest. */

import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Backends } from "../backend/registry.ts";
import type { StartRequest, StartResponse, TransferService } from "../gen/packetboat/v1/transfer_pb.ts";
import type { Location as WireLocation } from "../gen/packetboat/v1/types_pb.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { PbError } from "../model/error.ts";
import { formatLocation } from "../model/location.ts";
import { pathText } from "../model/path.ts";
import type { NativeEngine } from "../native/types.ts";
import { type Endpoint, runTransfer } from "../run/transfer.ts";
import { optionsFromWire } from "../wire/options.ts";
import { hostId } from "./host-id.ts";

export interface TransferServiceOptions {
  readonly backends: Pick<Backends, "open">;
  readonly engine: NativeEngine;
  readonly metrics: Metrics;
  /** Default: the system's temporary folder. */
  readonly spoolParent?: string;
}

export function createTransferService(options: TransferServiceOptions): ServiceImpl<typeof TransferService> {
  return {
    start(request, { signal }) {
      const jobId = randomUUID();
      return options.metrics.observe(jobId, start(options, { request, jobId, signal }));
    },
  };
}

async function* start(
  { backends, engine, spoolParent = tmpdir() }: TransferServiceOptions,
  { request, jobId, signal }: { request: StartRequest; jobId: string; signal: AbortSignal },
): AsyncGenerator<StartResponse> {
  const { several, move, dryRun, manifestFile, traceFile } = request;
  const transfer = {
    jobId,
    ...(await endpointsOf(backends, request, signal)),
    options: optionsFromWire(request.options),
    several,
    move,
    dryRun,
    ...(manifestFile === "" ? {} : { manifestFile }),
    ...(traceFile === "" ? {} : { traceFile }),
  };
  const local = () => backends.open("", signal);
  yield* runTransfer(transfer, { engine, hostId: hostId(), local, spoolParent }, signal);
}

async function endpointsOf(
  backends: Pick<Backends, "open">,
  { sources, destination, sourceFd, destinationFd }: StartRequest,
  signal: AbortSignal,
): Promise<{ readonly sources: readonly Endpoint[]; readonly destination: Endpoint }> {
  const place = async (location: WireLocation): Promise<Endpoint> => {
    const path = pathText(location.path);
    return { backend: await backends.open(location.remote, signal), path, label: label(location) };
  };
  const stream = async (fd: number, name: string): Promise<Endpoint> => {
    return { backend: await backends.open("", signal), path: "", label: name, fd };
  };
  const from: Endpoint[] = [];
  if (sourceFd !== undefined) from.push(await stream(sourceFd, "standard input"));
  for (const source of sources) from.push(await place(source));
  if (destinationFd !== undefined) {
    return { sources: from, destination: await stream(destinationFd, "standard output") };
  }
  if (destination === undefined) throw new PbError("invalid_argument", "a transfer needs a destination");
  return { sources: from, destination: await place(destination) };
}

function label({ remote, path: bytes }: WireLocation): string {
  const path = pathText(bytes);
  return formatLocation(remote === "" ? { kind: "local", path } : { kind: "remote", remote, path });
}
