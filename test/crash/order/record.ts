/** Traces a job's sender and receiver into one log, so that what both did is in one order. */
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { exited, PB, sleep, start } from "../../e2e/lib/process.ts";
import type { Scene } from "../lib/scene.ts";
import { type Call, parseStrace } from "./strace.ts";

/** Why there is no trace to be had here; undefined when there is. */
export function whyNoStrace(): string | undefined {
  const probe = spawnSync("strace", ["-f", "-e", "trace=fsync", "true"], { encoding: "utf8" });
  if (probe.error !== undefined) return "no strace";
  return probe.status === 0 ? undefined : `strace may not trace: ${probe.stderr.trim()}`;
}

const TRACED = [
  ...["write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range"],
  ...["fsync", "fdatasync", "syncfs"],
  ...["rename", "renameat", "renameat2", "unlink", "unlinkat"],
  ...["sendto", "sendmsg", "sendmmsg"],
].join(",");
/** Enough for a group of journal records. */
const BUFFER_BYTES = 4096;
const RUN_TIMEOUT_MS = 60_000;

export interface Recording {
  readonly calls: readonly Call[];
  readonly log: string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RecordOptions {
  /** Expressions for strace's `-e inject=`. */
  readonly inject?: readonly string[];
}

/** Runs the scene's job once, to its end; the server with it. */
export async function record(
  scene: Scene,
  words: readonly string[],
  options: RecordOptions = {},
): Promise<Recording> {
  const server = scene.options.direction === "local" ? undefined : await scene.ensureServer();
  const file = scene.folder.at("strace");
  const injections = (options.inject ?? []).flatMap((expression) => ["-e", `inject=${expression}`]);
  const attach = server === undefined ? [] : ["-p", String(server.pid)];
  const how = ["-f", "-yy", "-xx", "-qq", "-s", String(BUFFER_BYTES), "-e", "signal=none"];
  const args = [...how, "-e", `trace=${TRACED}`, ...injections, ...attach, "-o", file];
  const child = start("strace", [...args, PB, ...words], {
    env: { PB_HOME: scene.home },
    cwd: scene.folder.path,
  });
  child.stdin?.end();
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (data: Buffer) => {
    stdout += data.toString("utf8");
  });
  child.stderr?.on("data", (data: Buffer) => {
    stderr += data.toString("utf8");
  });
  const ended = exited(child);
  const said = server === undefined ? ended : untilSaid(() => stdout + stderr);
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_TIMEOUT_MS);
  await said;
  // strace goes on as long as one of the traced lives.
  await scene.stopServer();
  await ended;
  clearTimeout(timer);
  const log = await readFile(file, "utf8");
  return { calls: parseStrace(log), log, stdout, stderr };
}

/** The client's last word is a line of JSON: a receipt, or an error. */
async function untilSaid(text: () => string): Promise<void> {
  const end = Date.now() + RUN_TIMEOUT_MS;
  while (!/^\{.*\}\n/m.test(text()) && Date.now() < end) await sleep(20);
  // Its last calls.
  await sleep(300);
}
