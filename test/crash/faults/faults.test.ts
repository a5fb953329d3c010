/**
 * A disk that fails in the middle of a job: exit code, destination and source as RELIABILITY demands, and the same command again
 * once it is well.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { errorsOf } from "../../e2e/lib/assert.ts";
import { mountTmpfs, whyNoMounts } from "../../e2e/lib/mount.ts";
import { interrupt, mixed } from "../lib/interrupted.ts";
import { manifestOf, withoutBlocks } from "../lib/manifest.ts";
import { afterDone, afterKill } from "../lib/oracle.ts";
import { type Direction, Scene } from "../lib/scene.ts";
import { large, small } from "../lib/workloads.ts";
import { whyNoStrace } from "../order/record.ts";

const MIB = 1 << 20;
const whyNot = whyNoStrace();

/** The receiver fails at a call; the rest of the machine is well. */
function strace(scene: Scene, inject: string, ...more: string[]): string[] {
  const log = scene.folder.at("strace");
  return [
    "strace",
    "-D",
    "-f",
    "-qq",
    "-y",
    "-o",
    log,
    "-e",
    "signal=none",
    "-e",
    `inject=${inject}`,
    ...more,
  ];
}

interface Failed {
  readonly code: number | null;
  readonly errors: readonly { readonly code: string; readonly path: string | null }[];
  readonly text: string;
}

/** Runs the job while the receiver's disk fails; then looks, as after a kill. */
async function failing(scene: Scene, launcher: readonly string[], ...words: string[]): Promise<Failed> {
  const receiver = scene.options.direction === "up" ? "server" : "client";
  if (receiver === "server") await scene.startServer(launcher);
  const run = scene.words("--retries", "0", ...words);
  const result = await scene.pb(run, receiver === "client" ? { launcher } : {});
  expect((await afterKill(scene.truth)).violations).toEqual([]);
  await scene.stopServer();
  return { code: result.code, errors: errorsOf(result), text: result.stdout + result.stderr };
}

/** The same command, on a disk that is well: done, and nothing is left over. */
async function wellAgain(scene: Scene): Promise<void> {
  await scene.ensureServer();
  const { code, stdout, stderr } = await scene.pb(scene.words());
  expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
  expect(await afterDone(scene.truth)).toEqual([]);
}

const BOTH: readonly Direction[] = ["up", "down"];

describe.skipIf(whyNot !== undefined)(`errors of the disk${whyNot ? `: ${whyNot}` : ""}`, () => {
  describe.each(BOTH)("%s, moved", (direction) => {
    const setting = { direction, transport: "udp", move: true, workload: small } as const;

    test.each([
      ["EIO on write", "pwrite64:error=EIO:when=2", ["io_error"]],
      ["ENOSPC on write", "pwrite64:error=ENOSPC:when=2", ["no_space"]],
      ["EIO on the sync of a group of files", "syncfs:error=EIO", ["fsync_failed", "io_error"]],
      ["EIO on rename", "renameat:error=EIO", ["io_error"]],
    ])("%s: it is said, the source stays, and it goes on", async (_, inject, codes) => {
      await using scene = await Scene.make(setting);
      const { code, errors, text } = await failing(scene, strace(scene, inject));
      expect([1, 6, 7], text).toContain(code);
      expect(codes).toContain(errors[0]?.code);
      await wellAgain(scene);
    });

    test("a journal that can't be synced: nothing is said done that it does not hold", async () => {
      await using scene = await Scene.make(setting);
      const { code, text } = await failing(scene, strace(scene, "fdatasync:error=EIO"));
      expect([1, 6, 7], text).toContain(code);
      await wellAgain(scene);
    });
  });
});

/** strace tells a call by the path of its descriptor; a part's name is known once a run has left it. */
describe.skipIf(whyNot !== undefined)(`one file can't be synced${whyNot ? `: ${whyNot}` : ""}`, () => {
  test.each([
    ["up", "fsync"],
    ["down", "fsync"],
    // The checkpoint's, on the way: the one at the end would succeed.
    ["up", "fdatasync"],
  ] as const)(
    "%s: EIO on %s: none is tried again, the file fails, and it goes on",
    async (direction, call) => {
      await using scene = await Scene.make({ direction, transport: "udp", move: true, workload: mixed });
      const [part = "", ...others] = await interrupt(scene, "SIGINT");
      expect(others).toEqual([]);
      await scene.ensureServer();
      // Long enough for the checkpoint to sync it on the way.
      const slowly = call === "fdatasync" ? ["--limit", "24M"] : [];
      const onPart = ["-P", join(scene.destinationPath, part), "-e", "trace=fsync,fdatasync"];
      const { code, errors } = await failing(scene, strace(scene, `${call}:error=EIO`, ...onPart), ...slowly);
      const told = errors.map((each) => [each.code, each.path]);
      expect({ code, told }).toEqual({
        code: 1,
        told: [["fsync_failed", expect.stringMatching(/\/large$/)]],
      });
      const log = await readFile(scene.folder.at("strace"), "utf8");
      const calls = log.split("\n").filter((line) => /f(data)?sync/.test(line));
      expect(
        calls.findIndex((line) => line.includes("INJECTED")),
        log,
      ).toBe(calls.length - 1);
      const arrived = await manifestOf(scene.destinationPath);
      expect([...arrived.keys()].filter((name) => name.endsWith(".part") || name === "large")).toEqual([]);
      expect(arrived.get("s7")?.content).toBe(scene.truth.source.get("s7")?.content);
      const source = await manifestOf(scene.sourcePath);
      expect(withoutBlocks(source.get("large"))).toEqual(withoutBlocks(scene.truth.source.get("large")));
      await wellAgain(scene);
    },
  );
});

const noMounts = whyNoMounts();

describe.skipIf(noMounts !== undefined)(`a disk of its own${noMounts ? `: ${noMounts}` : ""}`, () => {
  test.each(BOTH)("%s: full in the middle, then freed: exit 7, and it goes on", async (direction) => {
    await using scene = await Scene.make({
      direction,
      transport: "udp",
      move: false,
      workload: large(48 * MIB),
    });
    await mkdir(scene.destinationPath, { recursive: true });
    {
      using _ = mountTmpfs(scene.destinationPath, "size=24m");
      await scene.ensureServer();
      const result = await scene.pb(scene.words("--retries", "0"));
      expect({ code: result.code, error: errorsOf(result)[0]?.code }).toEqual({ code: 7, error: "no_space" });
      expect((await afterKill(scene.truth)).violations).toEqual([]);
    }
    await wellAgain(scene);
  });

  test.each(BOTH)("%s: a state folder that can't be written: said, and it goes on", async (direction) => {
    await using scene = await Scene.make({ direction, transport: "udp", move: true, workload: small });
    const state = direction === "up" ? join(scene.state, "checkpoints") : join(scene.home, "jobs");
    await mkdir(state, { recursive: true });
    await scene.ensureServer();
    {
      using _ = mountTmpfs(state, "ro,mode=700");
      const result = await scene.pb(scene.words("--retries", "0"));
      expect(result.code, result.stdout + result.stderr).toBe(1);
      expect(errorsOf(result)[0]?.code).toBe("read_only");
      expect((await afterKill(scene.truth)).violations).toEqual([]);
    }
    await wellAgain(scene);
  });

  test.each(BOTH)("%s: no room for the journal: said, and it goes on", async (direction) => {
    await using scene = await Scene.make({ direction, transport: "udp", move: true, workload: small });
    const state = direction === "up" ? join(scene.state, "checkpoints") : join(scene.home, "jobs");
    await mkdir(state, { recursive: true });
    await scene.ensureServer();
    {
      using _ = mountTmpfs(state, "size=8k,mode=700");
      const result = await scene.pb(scene.words("--retries", "0"));
      expect(result.code, result.stdout + result.stderr).toBe(7);
      expect(errorsOf(result)[0]?.code).toBe("no_space");
      expect((await afterKill(scene.truth)).violations).toEqual([]);
    }
    await wellAgain(scene);
  });
});
