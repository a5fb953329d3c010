/** Names, addresses and routes of a lab: pure. */
import type { LinkSpec, Topology } from "./topology.ts";

export interface Interface {
  readonly link: LinkSpec;
  readonly host: string;
  /** Name inside the host. */
  readonly device: string;
  readonly address: string;
  readonly mac: string;
  /** The other end. */
  readonly peer: { readonly host: string; readonly address: string; readonly mac: string };
}

export interface Route {
  readonly host: string;
  /** A subnet that the host is not in. */
  readonly subnet: string;
  readonly via: string;
}

/** Both ends of a link, in the order of `between`. The n-th link is 10.78.0.0/30 plus n subnets. */
export function interfacesOf(topology: Topology): readonly (readonly [Interface, Interface])[] {
  return topology.links.map((link, index) => {
    const end = (side: 0 | 1) => ({
      host: link.between[side],
      address: addressOf(index, side + 1),
      mac: `02:4c:ab:${hex(index >> 8)}:${hex(index & 255)}:0${side + 1}`,
    });
    const both = [end(0), end(1)] as const;
    const make = (own: 0 | 1) => ({ link, device: `l${index}`, ...both[own], peer: both[own === 0 ? 1 : 0] });
    return [make(0), make(1)];
  });
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

function addressOf(link: number, host: number): string {
  return `10.78.${link >> 6}.${((link & 63) << 2) + host}`;
}

/** Shortest paths, by number of links, from each host to each subnet that it is not in. */
export function routesOf(ends: readonly (readonly [Interface, Interface])[]): readonly Route[] {
  const all = ends.flat();
  const hosts = [...new Set(all.map(({ host }) => host))];
  return hosts.flatMap((host) => {
    const via = firstHops(host, all);
    return ends.flatMap(([one, other], index) => {
      if (one.host === host || other.host === host) return [];
      const hop = closer(via, one.host, other.host);
      return hop === undefined ? [] : [{ host, subnet: `${addressOf(index, 0)}/30`, via: hop.via }];
    });
  });
}

interface Hop {
  readonly via: string;
  readonly links: number;
}

function closer(hops: ReadonlyMap<string, Hop>, one: string, other: string): Hop | undefined {
  const [a, b] = [hops.get(one), hops.get(other)];
  if (a === undefined || b === undefined) return a ?? b;
  return a.links <= b.links ? a : b;
}

/** For each host that can be reached: the neighbour's address to send to, and how many links away it is. */
function firstHops(from: string, all: readonly Interface[]): ReadonlyMap<string, Hop> {
  const found = new Map<string, Hop>();
  let edge = [from];
  for (let links = 1; edge.length > 0; links += 1) {
    const next: string[] = [];
    for (const { host, peer } of all) {
      if (!edge.includes(host) || peer.host === from || found.has(peer.host)) continue;
      found.set(peer.host, { via: found.get(host)?.via ?? peer.address, links });
      next.push(peer.host);
    }
    edge = next;
  }
  return found;
}
