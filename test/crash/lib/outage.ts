/** A long upload whose link goes down, whose client gets another address, and whose server is killed and started: it goes on by itself. */
import { spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { mustPass, pb } from "../../e2e/harness.ts";
import { exited, PB, sleep, start } from "../../e2e/lib/process.ts";
import { sha256OfFile, writeRandomFile } from "../../e2e/lib/random.ts";
import { scratch } from "../../e2e/lib/scratch.ts";
import { type Server, startServer } from "../../e2e/lib/server.ts";

/** Two namespaces and the device that joins them, of one name in both. */
export interface Wire {
  readonly client: string;
  readonly server: string;
  readonly clientDevice: string;
  readonly serverDevice: string;
  /** With the length of its prefix. */
  readonly clientAddress: string;
  readonly serverAddress: string;
}

export interface OutageOptions {
  readonly wire: Wire;
  readonly bytes: number;
  /** As in `--limit`, bytes a second: what keeps it busy long enough. */
  readonly bytesPerSecond: number;
  readonly downMs: number;
  /** The server's, between kill and start. */
  readonly goneMs: number;
  /** See PB_PING_MS; default: as users have it. */
  readonly pingMs?: number;
  readonly say?: (line: string) => void;
}

export interface OutageResult {
  readonly violations: readonly string[];
  /** Sent more than once, bytes, headers and control apart. */
  readonly redoBytes: number;
  readonly attempts: number;
}

/** Another address, of which the server only knows the way. */
const NEW_ADDRESS = "10.79.0.1";
/** What a crash of one side may cost, in bytes or in seconds of throughput (docs/design/0004). */
const REDO_BYTES = 64 * 2 ** 20;
/** Packet headers, tags and control: some 3 % with the smallest packets. */
const OVERHEAD = 0.05;
/** From the end of a disturbance to the next verified byte: the wait between attempts, a handshake, a ping that was not answered. */
const PATIENCE_MS = 90_000;

export async function outage(options: OutageOptions): Promise<OutageResult> {
  const { wire, bytes, downMs, goneMs, say = () => {} } = options;
  await using folder = scratch();
  const [root, state, home, file] = ["root", "state", "home", "file"].map((name) => folder.at(name)) as [
    string,
    string,
    string,
    string,
  ];
  await mkdir(root);
  await writeRandomFile(file, bytes, "outage");
  const serve = (listen: string) => startServer({ roots: [root], state, listen, namespace: wire.server });
  let server: Server = await serve(`${wire.serverAddress}:0`);
  ip(wire.server, "route", "add", NEW_ADDRESS, "dev", wire.serverDevice);
  const add = ["remote", "add", "box", server.invite ?? ""];
  mustPass(add, await pb(add, { home, namespace: wire.client }));
  const run = new Upload(options, { file, home });
  const violations: string[] = [];
  /** Disturbs it at a share of the file, and waits until bytes arrive again. */
  const disturb = async (what: string, share: number, act: () => Promise<void>) => {
    if (!(await run.reaches(bytes * share, PATIENCE_MS)))
      return void violations.push(`${what}: it stood still before`);
    await act();
    const [at, since] = [run.bytes, performance.now()];
    if (!(await run.reaches(at + 1, PATIENCE_MS))) return void violations.push(`${what}: it does not go on`);
    say(
      `${what}: went on after ${((performance.now() - since) / 1_000).toFixed(1)} s, in attempt ${run.attempts}`,
    );
  };
  try {
    await disturb(`link down for ${downMs / 1_000} s`, 0.2, async () => {
      ip(wire.client, "link", "set", wire.clientDevice, "down");
      await sleep(downMs);
      ip(wire.client, "link", "set", wire.clientDevice, "up");
    });
    await disturb("another address", 0.45, async () => {
      ip(wire.client, "addr", "del", wire.clientAddress, "dev", wire.clientDevice);
      ip(wire.client, "addr", "add", `${NEW_ADDRESS}/32`, "dev", wire.clientDevice);
      ip(wire.client, "route", "replace", wire.serverAddress, "dev", wire.clientDevice);
    });
    await disturb(`server killed, there again after ${goneMs / 1_000} s`, 0.7, async () => {
      const { address } = server;
      await server.kill();
      await sleep(goneMs);
      server = await serve(address);
    });
    const ended = await run.end();
    if (ended === undefined) violations.push(`it ended without a receipt: ${run.stderr().slice(-500)}`);
    else if (ended.state !== "done") violations.push(`it ended ${ended.state}`);
    else if ((await sha256OfFile(`${root}/file`)) !== (await sha256OfFile(file)))
      violations.push("it is not the source");
    const { bytesSent = 0, attempts = 0 } = ended ?? {};
    const redoBytes = Math.max(0, Math.round(bytesSent / (1 + OVERHEAD)) - bytes);
    // Each of the three may cost it once.
    const allowed = 3 * Math.max(REDO_BYTES, options.bytesPerSecond);
    if (redoBytes > allowed) violations.push(`${redoBytes} bytes were sent again, over ${allowed}`);
    say(`${attempts} attempts, ${redoBytes} bytes of ${bytes} sent again, ${violations.length} violations`);
    return { violations, redoBytes, attempts };
  } finally {
    run.kill();
    await server[Symbol.asyncDispose]();
  }
}

interface Ended {
  readonly state: string;
  readonly bytesSent: number;
  readonly attempts: number;
}

/** The transfer under way. */
class Upload {
  bytes = 0;
  attempts = 1;
  #ended: Ended | undefined;
  #stderr = "";
  readonly #child: ReturnType<typeof start>;

  constructor({ wire, bytesPerSecond, pingMs }: OutageOptions, at: { file: string; home: string }) {
    const words = ["cp", "--output", "jsonl", "--limit", String(bytesPerSecond), at.file, "box:/file"];
    const ping = pingMs === undefined ? {} : { PB_PING_MS: String(pingMs) };
    this.#child = start(PB, words, { env: { PB_HOME: at.home, ...ping }, namespace: wire.client });
    this.#child.stdin?.end();
    this.#child.stderr?.on("data", (data: Buffer) => {
      this.#stderr += data.toString("utf8");
    });
    const lines = createInterface({ input: this.#child.stdout ?? process.stdin });
    lines.on("line", (text) => this.#take(JSON.parse(text)));
  }

  #take(line: {
    event: string;
    bytes: number;
    retry: number;
    state: string;
    bytesSent: number;
    attempts: number;
  }) {
    if (line.event === "progress") this.bytes = line.bytes;
    if (line.event === "progress") this.attempts = Math.max(this.attempts, line.retry + 1);
    if (line.event === "receipt") this.#ended = line;
  }

  /** False when it has not within the time, or has ended. */
  async reaches(bytes: number, withinMs: number): Promise<boolean> {
    const until = performance.now() + withinMs;
    while (this.bytes < bytes && this.#child.exitCode === null && performance.now() < until) await sleep(50);
    return this.bytes >= bytes;
  }

  stderr(): string {
    return this.#stderr;
  }

  async end(): Promise<Ended | undefined> {
    const killer = setTimeout(() => this.kill(), 2 * PATIENCE_MS);
    await exited(this.#child);
    clearTimeout(killer);
    return this.#ended;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function ip(namespace: string, ...args: string[]): void {
  const { status, stderr } = spawnSync("ip", ["-n", namespace, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")} in ${namespace}: ${stderr}`);
}
