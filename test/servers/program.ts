/**
 * Real servers of endpoints for tests: each on a free loopback port, with a folder of its own, gone when the test is.
 * A program that is not here makes its tests SKIPPED by name (`findProgram` gives undefined), never passed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, openSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const HOST = "127.0.0.1";

/** Where a server runs. */
export interface ServerPlace {
  /** It listens here. */
  readonly address: string;
  /** A network namespace (`ip netns`); else this process's own. */
  readonly namespace?: string;
}

/** On this machine's loopback. */
export const HERE: ServerPlace = { address: HOST };

/** What `npm test` builds or unpacks for itself (scripts/test/tools.mjs). */
const OWN_TOOLS = resolve(import.meta.dirname, "../../.cache/tools");

const READY_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 3_000;

/** Where a program is, or undefined. Servers are in sbin, which a user's PATH often lacks. */
export function findProgram(name: string): string | undefined {
  const folders = [`${OWN_TOOLS}/bin`, ...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
}

/** A port that nobody had a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, failed) => server.once("error", failed).listen(0, HOST, done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** In memory where the host has such a place. A server that runs as another user must be able to enter it. */
export async function serverFolder(name: string): Promise<string> {
  const folder = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), `pb-${name}-`));
  await chmod(folder, 0o755);
  return folder;
}

export interface Program {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** It answers here when it is ready. */
  readonly port: number;
  /** Default: `HERE`. */
  readonly place?: ServerPlace | undefined;
  /** Removed when it stops; its output is in `log` there. */
  readonly folder: string;
}

export interface RunningProgram extends AsyncDisposable {
  readonly pid: number;
  /** What it has printed up to now. */
  log(): string;
  /** Ends it and removes its folder. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a server that stays in the foreground; resolves once its port answers. @throws Error with its output when it ends before */
export async function startProgram({
  program,
  args,
  env,
  port,
  folder,
  place = HERE,
}: Program): Promise<RunningProgram> {
  const output = openSync(join(folder, "log"), "a");
  const [command = program, ...words] =
    place.namespace === undefined
      ? [program, ...args]
      : ["ip", "netns", "exec", place.namespace, program, ...args];
  const child = spawn(command, words, {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", HOME: folder, ...env },
    stdio: ["ignore", output, output],
  });
  const log = () => readFileSync(join(folder, "log"), "utf8");
  const ended = new Promise<void>((done) => child.once("exit", () => done()).once("error", () => done()));
  const stop = async () => {
    await end(child, ended);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await ready({ child, port, place, log });
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid ?? 0, log, stop, [Symbol.asyncDispose]: stop };
}

async function ready({
  child,
  port,
  place,
  log,
}: {
  readonly child: ChildProcess;
  readonly port: number;
  readonly place: ServerPlace;
  readonly log: () => string;
}): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  const isReady = () => (place.namespace === undefined ? answers(port) : listens(child, port));
  while (!(await isReady())) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline)
      throw new Error(`${child.spawnfile} is not ready: ${log()}`);
    await sleep(20);
  }
}

const LISTENING = "0A";

/** In the namespace of the program, which cannot be reached from here. */
async function listens({ pid }: ChildProcess, port: number): Promise<boolean> {
  const table = await readFile(`/proc/${pid}/net/tcp`, "utf8").catch(() => "");
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return table.split("\n").some((line) => {
    const [, local, , state] = line.trim().split(/\s+/);
    return state === LISTENING && local?.endsWith(`:${hex}`) === true;
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: HOST, port });
    const told = (value: boolean) => {
      socket.destroy();
      done(value);
    };
    socket.once("connect", () => told(true)).once("error", () => told(false));
  });
}

async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(late);
}
