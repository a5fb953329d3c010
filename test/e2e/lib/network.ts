import { spawnSync } from "node:child_process";

/** Two network namespaces of their own, joined by a veth pair. Needs root, ip and nft. */
export interface Link extends AsyncDisposable {
  readonly client: string;
  readonly server: string;
  /** The server's address on the link. */
  readonly serverHost: string;
  /** Drops arriving packets at random in both namespaces. @param percent whole number */
  drop(percent: number): void;
  /** Drops every UDP datagram that arrives at the server. */
  blockUdp(): void;
}

/** Why namespaces cannot be had here; undefined when they can. */
export function whyNoNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  for (const [tool, flag] of [
    ["ip", "-V"],
    ["nft", "--version"],
  ] as const) {
    if (spawnSync(tool, [flag]).status !== 0) return `no ${tool}`;
  }
  const probe = `pbprobe${process.pid}`;
  if (spawnSync("ip", ["netns", "add", probe]).status !== 0)
    return "no permission to make network namespaces";
  spawnSync("ip", ["netns", "del", probe]);
  return undefined;
}

let count = 0;

export function makeLink(): Link {
  const tag = `pb${process.pid}n${count++}`;
  const client = `${tag}c`;
  const server = `${tag}s`;
  try {
    for (const name of [client, server]) command("ip", "netns", "add", name);
    command("ip", "-n", client, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", server);
    command("ip", "-n", client, "addr", "add", "10.77.0.1/24", "dev", "v0");
    command("ip", "-n", server, "addr", "add", "10.77.0.2/24", "dev", "v0");
    for (const name of [client, server]) {
      command("ip", "-n", name, "link", "set", "lo", "up");
      command("ip", "-n", name, "link", "set", "v0", "up");
      nft(name, "add table inet pb");
      nft(name, "add chain inet pb input { type filter hook input priority 0 ; }");
    }
  } catch (error) {
    remove(client, server);
    throw error;
  }
  return {
    client,
    server,
    serverHost: "10.77.0.2",
    drop: (percent) => {
      for (const name of [client, server]) {
        nft(name, `add rule inet pb input iifname v0 numgen random mod 100 < ${percent} drop`);
      }
    },
    blockUdp: () => nft(server, "add rule inet pb input iifname v0 meta l4proto udp drop"),
    [Symbol.asyncDispose]: async () => remove(client, server),
  };
}

function remove(...names: string[]): void {
  for (const name of names) spawnSync("ip", ["netns", "del", name]);
}

function nft(namespace: string, rule: string): void {
  command("ip", "netns", "exec", namespace, "nft", rule);
}

function command(file: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(file, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${file} ${args.join(" ")}: ${stderr}`);
}
