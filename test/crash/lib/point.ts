/** One kill at one system call, and the same command again. */
import { KILLED, killpoint, type Point, readPoints } from "./killpoint.ts";
import { afterDone, afterKill, type Remains } from "./oracle.ts";
import type { Scene } from "./scene.ts";

export type Side = "client" | "server";

export interface Receipt {
  readonly state: string;
  readonly bytes: number;
  readonly bytesSent: number;
  readonly resumedBytes?: number;
  readonly resumedFiles?: number;
  readonly redoneFiles?: number;
  readonly skippedBytes: number;
}

export interface Outcome {
  /** The call that was never made; undefined: the job had fewer. */
  readonly point: Point | undefined;
  readonly violations: readonly string[];
  /** Bytes that were there when it was killed and were sent again. */
  readonly redoBytes: number;
  /** From the kill (the start of the run in which it came) to the end of whoever lived on, and of the run after it. */
  readonly endedMs: number;
  readonly resumedMs: number;
}

/** The process that is killed must not be waited for by the other one: no second attempt in the same run. */
const ONCE = ["--retries", "0"];

/** The calls of one job that nobody kills. */
export async function countPoints(scene: Scene, side: Side): Promise<Point[]> {
  const log = scene.folder.at("points");
  await scene.reset();
  const { code, stderr } = await runTraced(scene, side, { log });
  if (code !== 0) throw new Error(`the job that is to be killed does not work: exit ${code}\n${stderr}`);
  const violations = await afterDone(scene.truth);
  if (violations.length > 0) throw new Error(`nobody was killed, and yet:\n${violations.join("\n")}`);
  return readPoints(log);
}

/** Kills at the call of this number, looks, gives the same command again, looks. */
export async function killAt(scene: Scene, side: Side, number: number): Promise<Outcome> {
  const log = scene.folder.at("points");
  await scene.reset();
  const began = performance.now();
  const first = await runTraced(scene, side, { log, kill: number });
  const endedMs = performance.now() - began;
  const point = readPoints(log).find((one) => one.number === number);
  const remains = await afterKill(scene.truth);
  const violations = [...remains.violations];
  if (point !== undefined) violations.push(...ended(side, first, point));
  const goesOn = performance.now();
  const { violations: more, redoBytes } = await resume(scene, remains);
  const resumedMs = performance.now() - goesOn;
  return { point, violations: [...violations, ...more], redoBytes, endedMs, resumedMs };
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function runTraced(
  scene: Scene,
  side: Side,
  options: { readonly log: string; readonly kill?: number },
): Promise<Ended> {
  if (side === "client") {
    if (scene.options.direction !== "local") await scene.ensureServer();
    return scene.pb(scene.words(...ONCE), { launcher: killpoint(options) });
  }
  const server = await scene.startServer(killpoint({ ...options, armed: true }));
  process.kill(server.pid, "SIGUSR1");
  const result = await scene.pb(scene.words(...ONCE));
  await scene.stopServer();
  return result;
}

/** I4, I6: whoever lives on says that it went wrong, in time. */
function ended(side: Side, { code, stdout, stderr }: Ended, point: Point): string[] {
  if (side === "client")
    return code === KILLED ? [] : [`exit ${code} of a client killed at call ${point.number}`];
  if (code === null) return ["I6: the client never ended after the server's death"];
  // Dying at the very last calls, the server may have said that all is done.
  if (code === 0) return stdout.includes('"state":"done"') ? [] : ["I4: exit 0 and not done"];
  return stderr.includes('"code"') || stdout.includes('"errors"')
    ? []
    : [`I4: exit ${code} and no error told`];
}

/** The same command again, to the end: I1. Nobody clears up before. */
export async function resume(
  scene: Scene,
  remains: Remains,
): Promise<Pick<Outcome, "violations" | "redoBytes"> & { readonly receipt?: Receipt }> {
  if (scene.options.direction !== "local") await scene.ensureServer();
  const { code, stdout, stderr } = await scene.pb(scene.words("--resume", "auto"));
  const violations = await afterDone(scene.truth);
  if (code === null) violations.unshift("I6: the second run never ended");
  else if (code !== 0) violations.unshift(`I6: the second run ended with exit ${code}: ${stdout}${stderr}`);
  if (code !== 0) return { violations, redoBytes: 0 };
  const receipt = JSON.parse(stdout) as Receipt;
  return { violations, receipt, redoBytes: redo(scene, remains, receipt) };
}

/**
 * What was there and went over the wire again. Blocks of a part that the crash left unrecorded count as there, so this is what
 * a user loses and not what the journal promises. Headers, tags and control: 5 % and 64 KiB are not data.
 */
export function redo(scene: Scene, remains: Remains, { bytesSent }: Receipt): number {
  if (scene.options.direction === "local") return 0;
  const missing = scene.totalBytes - remains.finishedBytes - remains.partBytes;
  return Math.max(0, Math.round(bytesSent / 1.05) - 65_536 - Math.max(0, missing));
}
