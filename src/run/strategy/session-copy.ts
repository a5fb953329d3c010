import type { StartResponse } from "../../gen/packetboat/v1/transfer_pb.ts";
import type { RunContext } from "../context.ts";
import { peerOf } from "./peer.ts";

/** Within one peer, through its own engine: no byte comes here. What it says is passed on, its receipt under this job's id. */
export async function* sessionCopy({
  request,
  signal,
}: Pick<RunContext, "request" | "signal">): AsyncGenerator<StartResponse> {
  const { sources, destination, several, move, dryRun, options, jobId } = request;
  const copy = peerOf(destination).copy({
    sources: sources.map(({ path }) => path),
    destination: destination.path,
    several,
    move,
    dryRun,
    options,
    signal,
  });
  for await (const event of copy) {
    if (event.event.case === "receipt") {
      event.event.value.jobId = jobId;
      event.event.value.source = sources.map(({ label }) => label).join(" ");
      event.event.value.destination = destination.label;
    }
    yield event;
  }
}
