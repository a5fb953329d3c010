import type { Backends } from "../../backend/registry.ts";
import type { StartRequest } from "../../gen/packetboat/v1/transfer_pb.ts";
import type { Location } from "../../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../../model/error.ts";
import { pathText } from "../../model/path.ts";
import type { Endpoint } from "../../run/transfer.ts";
import { labelOf } from "./open.ts";

/** Locations become open places. */
export async function endpointsOf(
  backends: Pick<Backends, "open">,
  { sources, destination, sourceFd, destinationFd }: StartRequest,
  signal: AbortSignal,
): Promise<{ readonly sources: readonly Endpoint[]; readonly destination: Endpoint }> {
  const place = async (location: Location): Promise<Endpoint> => {
    const path = pathText(location.path);
    return { backend: await backends.open(location.remote, signal), path, label: labelOf(location) };
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
