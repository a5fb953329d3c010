/** What a link of a lab really gives: a probe's round trips and losses, and iperf3's streams. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { z } from "zod";
import type { Host } from "./host.ts";
import type { Lab } from "./lab.ts";
import { command } from "./shell.ts";

const ECHO_PORT = 7007;
const IPERF_PORT = 7008;

const probeResult = z.object({
  sent: z.number(),
  received: z.number(),
  duplicated: z.number(),
  reordered: z.number(),
  damaged: z.number(),
  rttMs: z.object({
    min: z.number().nullable(),
    median: z.number().nullable(),
    p95: z.number().nullable(),
    max: z.number().nullable(),
  }),
});

export type ProbeResult = z.output<typeof probeResult>;

export interface ProbeOptions {
  readonly from: Host;
  readonly to: Host;
  /** The address of `to` on the link in question. */
  readonly address: string;
  readonly count: number;
  readonly intervalUs: number;
  /** Of UDP payload. Default 64. */
  readonly bytes?: number;
  /** How long the last answer is waited for. */
  readonly waitMs: number;
}

/** Numbered datagrams there and back. */
export async function probe(lab: Lab, options: ProbeOptions): Promise<ProbeResult> {
  const at = `${options.address}:${ECHO_PORT}`;
  const echo = options.to.spawn(lab.binary, ["echo", at], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await firstLine(echo);
    const { count, intervalUs, bytes = 64, waitMs } = options;
    const args = ["probe", at, ...[count, intervalUs, bytes, waitMs].map(String)];
    const { stdout, stderr, code } = await options.from.exec(lab.binary, args);
    if (code !== 0) throw new Error(`probe from ${options.from.name} to ${at}: ${stderr.trim()}`);
    return probeResult.parse(JSON.parse(stdout));
  } finally {
    await stop(echo);
  }
}

async function firstLine(child: ChildProcess): Promise<void> {
  if (child.stdout === null) throw new Error("no standard output");
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== "") return;
  }
  throw new Error("ended before it was ready");
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

export interface StreamOptions {
  readonly from: Host;
  readonly to: Host;
  readonly address: string;
  /** The receiver's interface of the link, and the sender's. */
  readonly devices: { readonly from: string; readonly to: string };
  readonly seconds: number;
  /** Undefined: TCP, as fast as it goes. */
  readonly udp?: { readonly bitsPerSec: number; readonly payloadBytes: number };
}

export interface StreamResult {
  /** Of Ethernet frames, over the middle of the time: without the start and the emptying of queues. */
  readonly receivedBitsPerSec: number;
  readonly sentBitsPerSec: number;
}

/** One iperf3 stream, measured by the interfaces' counters. */
export async function stream(options: StreamOptions): Promise<StreamResult> {
  const { from, to, address, udp, seconds } = options;
  const port = ["-p", String(IPERF_PORT)];
  const server = to.spawn("iperf3", ["-s", "-1", "--forceflush", "-B", address, ...port], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  try {
    await firstLine(server);
    const udpArgs =
      udp === undefined
        ? []
        : ["-u", "-b", String(Math.round(udp.bitsPerSec)), "-l", String(udp.payloadBytes)];
    const args = ["-c", address, ...port, "-t", String(seconds), "-i", "0", ...udpArgs];
    const running = from.exec("iperf3", args, { timeoutMs: (seconds + 30) * 1000 });
    const result = await middle(options);
    const { code, stdout, stderr } = await running;
    if (code !== 0)
      throw new Error(`iperf3 from ${from.name} to ${address}: ${stderr.trim() || stdout.trim()}`);
    return result;
  } finally {
    await stop(server);
  }
}

/** From 40 % of the time on, for half of it. */
async function middle({ from, to, devices, seconds }: StreamOptions): Promise<StreamResult> {
  const look = () => ({
    at: process.hrtime.bigint(),
    received: linkBytes(to, devices.to).rx,
    sent: linkBytes(from, devices.from).tx,
  });
  await sleep(seconds * 400);
  const start = look();
  await sleep(seconds * 500);
  const end = look();
  const took = Number(end.at - start.at) / 1e9;
  const rate = (bytes: number) => (bytes * 8) / took;
  return {
    receivedBitsPerSec: rate(end.received - start.received),
    sentBitsPerSec: rate(end.sent - start.sent),
  };
}

const linkStats = z.tuple([
  z.object({
    stats64: z.object({ rx: z.object({ bytes: z.number() }), tx: z.object({ bytes: z.number() }) }),
  }),
]);

function linkBytes(host: Host, device: string): { readonly rx: number; readonly tx: number } {
  const text = command("ip", ["-n", host.namespace, "-s", "-j", "link", "show", "dev", device]);
  const [{ stats64 }] = linkStats.parse(JSON.parse(text));
  return { rx: stats64.rx.bytes, tx: stats64.tx.bytes };
}

/** What a host has received on its first link so far, Ethernet frames. */
export function receivedBytes(host: Host): number {
  return linkBytes(host, host.addresses[0]?.device ?? "").rx;
}

async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
