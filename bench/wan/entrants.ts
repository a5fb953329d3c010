/** Peers on a link: those on TCP once for each congestion controller of the kernel. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Host } from "../netlab/host.ts";
import type { Peer } from "../peer.ts";

/** The kernel's own, in every Linux of use. */
const CONTROLLERS = ["bbr", "cubic"] as const;

export interface Entrant {
  readonly peer: Peer;
  /** `net.ipv4.tcp_congestion_control`; undefined for UDP. */
  readonly controller?: string;
}

const ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
const AVAILABLE = "/proc/sys/net/ipv4/tcp_available_congestion_control";

const wordsOf = (file: string) => readFileSync(file, "utf8").trim().split(/\s+/);

/** A namespace may only choose what the machine allows to everybody; undone when disposed, or when this program ends before. */
export function allowControllers(): Disposable {
  const before = wordsOf(ALLOWED);
  const available = wordsOf(AVAILABLE);
  const missing = CONTROLLERS.filter((name) => available.includes(name) && !before.includes(name));
  if (missing.length === 0) return { [Symbol.dispose]: () => {} };
  const undo = () => writeFileSync(ALLOWED, before.join(" "));
  writeFileSync(ALLOWED, [...before, ...missing].join(" "));
  process.once("exit", undo);
  return {
    [Symbol.dispose]: () => {
      process.off("exit", undo);
      undo();
    },
  };
}

/** `pb` and `pb-udp` go by UDP wherever a UDP path is there; all else is TCP. */
export function entrants(peers: readonly Peer[]): readonly Entrant[] {
  return peers.flatMap((peer): Entrant[] => {
    if (peer.role === "baseline") return [];
    if (peer.role === "ours" && !peer.name.includes("tcp")) return [{ peer }];
    return CONTROLLERS.map((controller) => ({
      controller,
      peer: {
        ...peer,
        name: `${peer.name}-${controller}`,
        title: `${peer.title}, ${controller.toUpperCase()}`,
      },
    }));
  });
}

/** For connections that are made from now on, also those that a listening socket of before accepts. */
export async function useController(hosts: readonly Host[], controller: string): Promise<void> {
  for (const host of hosts) {
    const path = "/proc/sys/net/ipv4/tcp_congestion_control";
    const { code, stderr } = await host.exec("sh", ["-c", 'echo "$1" > "$2"', "sh", controller, path]);
    if (code !== 0) throw new Error(`${host.name}: TCP without ${controller}: ${stderr.trim()}`);
  }
}
