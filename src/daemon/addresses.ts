import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { formatAddress, type HostPort, parseAddress } from "../credential/address.ts";
import { PbError } from "../model/error.ts";

export const DEFAULT_PORT = 7373;
/** An invite stays a line that fits a message. */
const MAX_ADDRESSES = 8;

/** The address to listen on as an IP address; a name is looked up. @throws PbError `invalid_argument`, `unreachable` */
export async function listenAddress(text: string): Promise<HostPort> {
  const { host, port } = parseAddress(text, DEFAULT_PORT);
  if (isIP(host)) return { host, port };
  try {
    return { host: (await lookup(host)).address, port };
  } catch (cause) {
    throw new PbError("unreachable", `--listen ${text}: ${host} has no address`, { peer: host, cause });
  }
}

/**
 * What goes into invites: what was given with `--advertise`; else the address listened on; else, listening on all, those of
 * this machine's interfaces, and loopback when there is no other.
 */
export function inviteAddresses(advertise: readonly string[], bound: HostPort): string[] {
  if (advertise.length > 0) {
    return advertise.map((text) => formatAddress(parseAddress(text, bound.port)));
  }
  if (bound.host !== "::" && bound.host !== "0.0.0.0") return [formatAddress(bound)];
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.toLowerCase().startsWith("fe80:"))
    .filter(({ family }) => family === "IPv4" || bound.host === "::")
    .map(({ address }) => address);
  const hosts = own.length > 0 ? own.slice(0, MAX_ADDRESSES) : ["127.0.0.1"];
  return hosts.map((host) => formatAddress({ host, port: bound.port }));
}
