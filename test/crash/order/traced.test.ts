/** The order in which files become durable, from traces of real transfers, and that a sync which never happens is noticed. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Direction, Scene } from "../lib/scene.ts";
import { small } from "../lib/workloads.ts";
import { checkOrder, STEPS, type Verdict } from "./order.ts";
import { record, whyNoStrace } from "./record.ts";

const why = whyNoStrace();

interface Case {
  readonly direction: Direction;
  readonly transport: "udp" | "tcp";
  readonly move: boolean;
}

/** One verdict for each of the three files. */
async function trace(options: Case, inject: readonly string[] = []): Promise<Verdict[]> {
  await using scene = await Scene.make({ ...options, workload: small });
  const address = scene.server.address;
  const { calls, stdout, stderr } = await record(scene, scene.words(), { inject });
  const { hashes } = JSON.parse(stdout || stderr) as { hashes: { path: string; blake3: string }[] };
  expect(hashes.map(({ path }) => path).sort()).toEqual(["large", "replaced", "sub/sparse"]);
  return hashes.map(({ path, blake3 }) =>
    checkOrder(calls, {
      target: join(scene.destinationPath, path),
      hash: blake3,
      fileSystem: scene.folder.path,
      ...(options.direction === "up" && { receiver: address }),
      ...(options.move && { source: join(scene.sourcePath, path) }),
    }),
  );
}

describe.skipIf(why !== undefined)(`traced${why ? `: ${why}` : ""}`, () => {
  test.each<Case>([
    { direction: "up", transport: "udp", move: true },
    { direction: "up", transport: "tcp", move: true },
    { direction: "down", transport: "udp", move: true },
    { direction: "local", transport: "udp", move: false },
  ])("$direction over $transport (move: $move): every file in order", async (options) => {
    const verdicts = await trace(options);
    expect(verdicts.flatMap(({ problems }) => problems)).toEqual([]);
    const named = verdicts[0]?.steps.map(({ name }) => name) ?? [];
    const wanted = STEPS.filter(
      (name) =>
        (name !== "result" || options.direction === "up") &&
        (name !== "removal of the source" || options.move),
    );
    expect(named).toEqual(wanted);
  });

  // strace answers 0 and the kernel never hears of the call: a pb without that line of code.
  test.each([
    ["fsync and syncfs", ["fsync,syncfs:retval=0"]],
    ["fdatasync", ["fdatasync:retval=0"]],
  ])("without %s the checker is red", async (_, inject) => {
    const verdicts = await trace({ direction: "up", transport: "udp", move: true }, inject);
    for (const { problems } of verdicts) expect(problems).not.toEqual([]);
  });
});
