import { describe, expect, it } from "vitest";
import type { PbError } from "../model/error.ts";
import { Disk } from "./testing/crash-disk.ts";
import { CrashFiles, type Fault } from "./testing/crash-files.ts";
import { batch, done, History } from "./testing/history.ts";
import { knows, LIFE, live, openOn } from "./testing/life.ts";

interface Outcome {
  readonly error: PbError | undefined;
  readonly history: History;
  readonly disk: Disk;
}

async function lived(fault: Fault): Promise<Outcome> {
  const disk = new Disk();
  let operations = 0;
  const history = new History(() => operations++, undefined);
  let error: PbError | undefined;
  try {
    await using checkpoint = await openOn(new CrashFiles({ disk, fault }));
    await live(history, checkpoint, LIFE);
  } catch (cause) {
    error = cause as PbError;
  }
  return { error, history, disk };
}

/** Faults of the n-th matching call, for every n there is. */
async function eachCall(
  matches: (call: { action: string; path: string }) => boolean,
  code: string,
  look: (outcome: Outcome, failed: string) => Promise<void>,
): Promise<number> {
  for (let wanted = 0; ; wanted += 1) {
    let seen = 0;
    let failed: string | undefined;
    const outcome = await lived((call) => {
      if (!matches(call) || seen++ !== wanted) return undefined;
      failed = `${call.action} ${call.path}`;
      return code;
    });
    if (failed === undefined) return wanted;
    await look(outcome, failed);
  }
}

describe("a disk that fails", () => {
  const writes = ["create", "write", "rename", "open to write"];

  it.each([
    ["ENOSPC", "no_space", writes],
    ["EDQUOT", "no_space", ["write", "sync"]],
    ["EIO", "io_error", writes],
    ["EIO", "fsync_failed", ["sync"]],
    ["EROFS", "read_only", writes],
    ["EACCES", "permission_denied", ["create", "rename"]],
  ])(
    "%s is %s, wherever it comes; what was acknowledged stays, and resumes when the disk is well",
    async (errno, code, actions) => {
      const calls = await eachCall(
        ({ action }) => actions.includes(action),
        errno,
        async ({ error, history, disk }, failed) => {
          const closing = error === undefined; // the last snapshots failed: the journal has it all
          if (!closing) {
            expect(error, failed).toMatchObject({ code, retryable: false });
            expect(error?.message, failed).toContain("the checkpoint file /");
            expect(error?.hint, failed).toMatch(/disk|space|PB_HOME/);
          }
          const after = await knows(disk.crashed(() => undefined));
          expect(history.allows(after, Number.MAX_SAFE_INTEGER), failed).toBe(true);
          const checkpoint = await openOn(new CrashFiles({ disk }));
          await checkpoint.record(batch({ done: done(99) }));
          expect(checkpoint.isDone(done(99).subarray(0, 16))).toBe(true);
          await checkpoint.close();
        },
      );
      expect(calls).toBeGreaterThan(3);
    },
  );

  it("refuses everything after the first failure, and tries no sync again", async () => {
    const disk = new Disk();
    const syncs: string[] = [];
    let failing = false;
    const fault: Fault = ({ action, path }) => {
      if (action !== "sync" || !failing) return undefined;
      syncs.push(path);
      return "EIO";
    };
    const checkpoint = await openOn(new CrashFiles({ disk, fault }));
    await checkpoint.record(batch({ done: done(1) }));
    failing = true;
    const refused = expect.objectContaining({ code: "fsync_failed" });
    await expect(checkpoint.record(batch({ done: done(2) }))).rejects.toEqual(refused);
    failing = false;
    await expect(checkpoint.record(batch({ done: done(3) }))).rejects.toEqual(refused);
    await checkpoint.close();
    expect(syncs).toEqual(["/state/jobs/j/journal-1"]);
  });

  it("that is read-only from the start is said when the checkpoint is opened", async () => {
    const { error } = await lived(({ action }) => (action === "create" ? "EROFS" : undefined));
    expect(error).toMatchObject({ code: "read_only", hint: expect.stringContaining("PB_HOME") });
  });
});
