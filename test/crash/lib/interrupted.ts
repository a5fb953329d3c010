/** A job that was ended in the middle, and goes on. */
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { sleep } from "../../e2e/lib/process.ts";
import { writeRandomFile } from "../../e2e/lib/random.ts";
import { afterDone, afterKill, PART } from "./oracle.ts";
import type { Scene } from "./scene.ts";
import type { Workload } from "./workloads.ts";

const MIB = 1 << 20;
/** The large file takes four seconds then, and is interrupted after a third of them: a machine may be busy. */
const SLOWLY = ["--limit", "12M"];
const ENOUGH_BYTES = 16 * MIB;

/** Small files that are finished soon, and a large one. */
export const mixed: Workload = {
  name: "large",
  args: ["--memory", "8M", "--parallel-files", "4"],
  make: async (path) => {
    await mkdir(path, { recursive: true });
    for (let n = 0; n < 20; n += 1) await writeRandomFile(join(path, `s${n}`), 2_000, n);
    await writeRandomFile(join(path, "large"), 48 * MIB, "large");
  },
  before: async () => {},
};

/**
 * The receiver killed, or (so that there are snapshots and an index) the client asked to pause; the server is stopped then. The
 * parts that are left.
 */
export async function interrupt(scene: Scene, how: "SIGKILL" | "SIGINT"): Promise<readonly string[]> {
  await scene.ensureServer();
  const run = scene.begin(scene.words(...SLOWLY));
  const end = Date.now() + 20_000;
  while ((await partBytes(scene)) < ENOUGH_BYTES && Date.now() < end) await sleep(20);
  // Told of its client's end first, it would close the checkpoint and leave no journal.
  if (how === "SIGKILL" && scene.options.direction === "up") await scene.server.kill();
  run.kill(how);
  await run.end;
  await scene.stopServer();
  const { violations, parts } = await afterKill(scene.truth);
  expect(violations).toEqual([]);
  return parts;
}

/** Of what has no final name, allocated. */
async function partBytes({ destinationPath }: Scene): Promise<number> {
  const names = await readdir(destinationPath).catch(() => []);
  const parts = names.filter((name) => PART.test(name));
  const sizes = parts.map((name) =>
    stat(join(destinationPath, name)).then(
      ({ blocks }) => blocks * 512,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** The same command, to its end: done, and nothing is left over. */
export async function goesOn(
  scene: Scene,
  env: Record<string, string> = {},
  ...words: string[]
): Promise<{ resumedBytes: number }> {
  await scene.ensureServer();
  const { code, stdout, stderr } = await scene.pb(scene.words(...words), { env });
  expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
  expect(await afterDone(scene.truth)).toEqual([]);
  return JSON.parse(stdout) as { resumedBytes: number };
}
