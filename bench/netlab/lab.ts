/** Hosts as network namespaces, joined by emulated links. Needs root; see README.md. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { placeReceivers } from "./cores.ts";
import { type CountersOptions, type Emulator, type LinkCounters, startEmulator } from "./emulator.ts";
import { type Host, makeHost } from "./host.ts";
import { hasNetem, isPlain, netemArgs, netemCan } from "./netem.ts";
import { type Interface, interfacesOf, routesOf } from "./plan.ts";
import { buildEmulator, command, inNamespace, ipBatch } from "./shell.ts";
import type { LinkSpec, Topology } from "./topology.ts";

/** "veth": a plain wire. */
export type Backend = "veth" | "netem" | "emulator";

export interface LabLink {
  readonly spec: LinkSpec;
  readonly backend: Backend;
  /** Undefined unless emulated. */
  counters(options?: CountersOptions): Promise<LinkCounters | undefined>;
}

export interface Lab extends AsyncDisposable {
  /** @throws Error when there is none of this name */
  host(name: string): Host;
  readonly hosts: readonly Host[];
  readonly links: readonly LabLink[];
  /** The `pb-netlab` program, for its probe. */
  readonly binary: string;
  /** Ends what runs in the hosts and removes everything. Idempotent. */
  close(): Promise<void>;
}

export interface LabOptions {
  /** The checkout. Default: found from this module. */
  readonly root?: string;
  /** Default "auto": netem where the kernel has it and it can do what a link asks for. */
  readonly backend?: "auto" | "emulator";
}

let labs = 0;

/** This module, or the bundle that scripts/run-ts.mjs made of it. */
function checkout(): string {
  const here = fileURLToPath(import.meta.url);
  return /^(.*?)\/(bench\/netlab|\.cache\/run-\d+)\//.exec(here)?.[1] ?? process.cwd();
}

/** Resolves when packets flow. */
export async function createLab(topology: Topology, options: LabOptions = {}): Promise<Lab> {
  const binary = buildEmulator(options.root ?? checkout());
  command(binary, ["sweep"]);
  const prefix = `pblab-${process.pid}-${labs++}-`;
  const guardian = spawn(binary, ["guard", prefix], { stdio: ["pipe", "ignore", "inherit"], detached: true });
  const builder = new Builder(topology, { binary, prefix, emulatorOnly: options.backend === "emulator" });
  try {
    await once(guardian, "spawn");
    return await builder.build(() => end(guardian, builder.emulators));
  } catch (error) {
    await end(guardian, builder.emulators);
    throw error;
  }
}

async function end(guardian: ChildProcess, emulators: readonly Emulator[]): Promise<void> {
  // One that failed has said so to whoever asked it; its namespace goes all the same.
  await Promise.allSettled(emulators.map((emulator) => emulator.close()));
  if (guardian.exitCode !== null || guardian.signalCode !== null) return;
  const exited = once(guardian, "exit");
  guardian.stdin?.end();
  await exited;
}

interface Setting {
  readonly binary: string;
  readonly prefix: string;
  readonly emulatorOnly: boolean;
}

class Builder {
  readonly emulators: Emulator[] = [];
  readonly #topology: Topology;
  readonly #setting: Setting;
  readonly #ends: readonly (readonly [Interface, Interface])[];

  constructor(topology: Topology, setting: Setting) {
    this.#topology = topology;
    this.#setting = setting;
    this.#ends = interfacesOf(topology);
  }

  async build(remove: () => Promise<void>): Promise<Lab> {
    const { hosts } = this.#topology;
    // Wires of emulated links end in a namespace of their own, with the emulators.
    const names = [...hosts.map((host) => this.#namespace(host)), this.#wires];
    ipBatch(names.map((name) => `netns add ${name}`));
    for (const name of names) this.#sysctls(name);
    const backends = this.#backends();
    this.#connect(backends);
    for (const host of hosts) this.#configure(host);
    for (const [index, ends] of this.#ends.entries()) {
      if (backends[index] !== "emulator") continue;
      for (const { host, device } of ends) ownContext(this.#namespace(host), device);
    }
    placeReceivers();
    const emulators = await this.#emulate(backends);
    const made = hosts.map((host) => makeHost(host, this.#namespace(host), this.#addresses(host)));
    const find = (name: string) => {
      const host = made.find((item) => item.name === name);
      if (host === undefined) throw new Error(`no host "${name}"; there are: ${hosts.join(", ")}`);
      return host;
    };
    let closing: Promise<void> | undefined;
    const close = () => {
      closing ??= remove();
      return closing;
    };
    const links = this.#topology.links.map((spec, index) => ({
      spec,
      backend: backends[index] ?? "veth",
      counters: async (options?: CountersOptions) => emulators.get(index)?.counters(options),
    }));
    const { binary } = this.#setting;
    return { host: find, hosts: made, links, binary, close, [Symbol.asyncDispose]: close };
  }

  #namespace(host: string): string {
    return `${this.#setting.prefix}${host}`;
  }

  /** No host's name has a capital letter. */
  get #wires(): string {
    return this.#namespace("WIRES");
  }

  #backends(): readonly Backend[] {
    const netem = !this.#setting.emulatorOnly && hasNetem(this.#wires);
    return this.#topology.links.map((link) => {
      if (isPlain(link)) return "veth";
      return netem && netemCan(link) ? "netem" : "emulator";
    });
  }

  /** IPv6 would talk by itself (router solicitations, MLD) and spoil counters and seeds. */
  #sysctls(namespace: string): void {
    const settings = {
      "net.ipv6.conf.all.disable_ipv6": "1",
      "net.ipv6.conf.default.disable_ipv6": "1",
      "net.ipv4.conf.all.rp_filter": "0",
      "net.ipv4.conf.default.rp_filter": "0",
      "net.ipv4.ip_forward": "1",
      // Else a TCP connection starts with what an earlier one learned, and runs are not alike.
      "net.ipv4.tcp_no_metrics_save": "1",
      ...(namespace === this.#wires ? {} : this.#topology.sysctls),
    };
    const script = 'while [ $# -gt 1 ]; do echo "$2" > "$1" || exit; shift 2; done';
    const words = Object.entries(settings)
      .map(([name, value]) => [`/proc/sys/${name.replaceAll(".", "/")}`, value] as const)
      // A kernel without IPv6 has nothing to switch off.
      .filter(([path]) => !path.includes("/ipv6/") || existsSync("/proc/sys/net/ipv6"))
      .flat();
    const inside = inNamespace(namespace, "sh", ["-c", script, "sh", ...words]);
    command(inside.file, inside.args);
  }

  #connect(backends: readonly Backend[]): void {
    for (const [index, ends] of this.#ends.entries()) {
      if (backends[index] === "emulator") {
        ipBatch(
          ends.map((end, side) => {
            const [mtu, own] = [end.link.mtu, wire(index, side)];
            return `link add name ${own} up mtu ${mtu} type veth peer name ${end.device} address ${end.mac} mtu ${mtu} netns ${this.#namespace(end.host)}`;
          }),
          this.#wires,
        );
      } else {
        const [one, other] = ends;
        const half = (end: Interface) => `name ${end.device} address ${end.mac} mtu ${end.link.mtu}`;
        ipBatch(
          [`link add ${half(one)} type veth peer ${half(other)} netns ${this.#namespace(other.host)}`],
          this.#namespace(one.host),
        );
      }
      if (backends[index] !== "veth") this.#shape(ends, { netem: backends[index] === "netem", index });
    }
  }

  #shape(ends: readonly [Interface, Interface], how: { netem: boolean; index: number }): void {
    for (const [side, end] of ends.entries()) {
      const namespace = this.#namespace(end.host);
      this.#offloads(namespace, how.netem ? "wire" : "host", end.device);
      if (how.netem) {
        const way = side === 0 ? end.link.forward : end.link.back;
        const args = netemArgs(way, { mtu: end.link.mtu, seed: this.#seed(how.index) + side });
        command("tc", ["-n", namespace, "qdisc", "add", "dev", end.device, "root", ...args]);
      } else {
        this.#offloads(this.#wires, "wire", wire(how.index, side));
      }
    }
  }

  #offloads(namespace: string, kind: "wire" | "host", device: string): void {
    const inside = inNamespace(namespace, this.#setting.binary, ["offloads", kind, device]);
    command(inside.file, inside.args);
  }

  /** Neighbours are known for good: an ARP request that is lost would cost a second and a place in the order of losses. */
  #configure(host: string): void {
    const own = this.#ends.flat().filter((end) => end.host === host);
    const routes = routesOf(this.#ends).filter((route) => route.host === host);
    ipBatch(
      [
        "link set lo up",
        ...own.flatMap(({ device, address, peer }) => [
          `addr add ${address}/30 dev ${device}`,
          `link set ${device} up`,
          `neigh replace ${peer.address} lladdr ${peer.mac} dev ${device} nud permanent`,
        ]),
        ...routes.map(({ subnet, via }) => `route add ${subnet} via ${via}`),
      ],
      this.#namespace(host),
    );
  }

  async #emulate(backends: readonly Backend[]): Promise<ReadonlyMap<number, Emulator>> {
    const started = new Map<number, Emulator>();
    for (const [index, link] of this.#topology.links.entries()) {
      if (backends[index] !== "emulator") continue;
      const emulator = await startEmulator({
        binary: this.#setting.binary,
        namespace: this.#wires,
        devices: [wire(index, 0), wire(index, 1)],
        link,
        index: started.size,
        seed: this.#seed(index),
      });
      this.emulators.push(emulator);
      started.set(index, emulator);
    }
    return started;
  }

  /** Two for each link, different in every lab of another seed. */
  #seed(link: number): number {
    return this.#topology.seed * 100_000 + 2 * link;
  }

  #addresses(host: string) {
    return this.#ends
      .flat()
      .filter((end) => end.host === host)
      .map(({ link, peer, address, device }) => ({ link: link.name, peer: peer.host, address, device }));
  }
}

/** The emulator's end of a link. */
function wire(link: number, side: number): string {
  return `w${link}${side === 0 ? "a" : "b"}`;
}

/**
 * A thread of the host's receives packets (threaded NAPI), so that the emulator only hands them over. Before Linux 5.12 it
 * handles them itself, at the cost of its punctuality. The interface must be up: a veth has no receive context before.
 */
function ownContext(namespace: string, device: string): void {
  // `ip netns exec` shows the namespace's own /sys.
  const script = '[ ! -e "$1" ] || echo 1 > "$1"';
  const attribute = `/sys/class/net/${device}/threaded`;
  command("ip", ["netns", "exec", namespace, "sh", "-c", script, "sh", attribute]);
}
