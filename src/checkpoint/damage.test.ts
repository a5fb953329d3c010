import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { PbError } from "../model/error.ts";
import { openCheckpoint } from "./checkpoint.ts";
import type { CheckpointFiles } from "./files.ts";
import { FORMAT_VERSION } from "./header.ts";
import { Disk } from "./testing/crash-disk.ts";
import { CrashFiles } from "./testing/crash-files.ts";
import { batch, done, History, Model, part, runs } from "./testing/history.ts";
import { LIFE, live, openOn, PLACE } from "./testing/life.ts";

/** What was true at some time. */
const everKnown = LIFE.map((_, at) => {
  const model = new Model();
  for (const each of LIFE.slice(0, at + 1)) model.apply(each);
  return model.text();
});

/** A checkpoint with a binding, generations of journal that are still needed, snapshots and an index, all durable. */
async function filled(binding = PLACE.binding): Promise<Disk> {
  const disk = new Disk();
  const limits = { snapshotUpdates: 2, generationBytes: 500 };
  const files = new CrashFiles({ disk });
  const first = await openCheckpoint({ ...PLACE, binding, files, limits });
  await live(new History(() => 0, undefined), first, LIFE.slice(0, 6));
  await first.close();
  const second = await openCheckpoint({ ...PLACE, binding, files: withoutSnapshots(files), limits });
  await live(new History(() => 0, undefined), second, LIFE.slice(6, 12));
  files.kill();
  return disk.crashed((change) => change);
}

/** No snapshot is ever finished. */
function withoutSnapshots(files: CrashFiles): CheckpointFiles {
  const stuck = async (path: string) => {
    const file = await files.create(path);
    return path.includes("/active/") ? { ...file, sync: () => new Promise<never>(() => {}) } : file;
  };
  return {
    create: stuck,
    open: files.open.bind(files),
    rename: files.rename.bind(files),
    remove: files.remove.bind(files),
    list: files.list.bind(files),
    makeFolder: files.makeFolder.bind(files),
    removeFolder: files.removeFolder.bind(files),
    syncFolder: files.syncFolder.bind(files),
    modified: files.modified.bind(files),
  };
}

const path = (name: string) => `${PLACE.directory}/${name}`;
const names = (disk: Disk) => allNames(disk).filter((name) => !name.endsWith(".tmp"));
const allNames = (disk: Disk) =>
  [...disk.names(disk.find(PLACE.directory) as number).keys()].flatMap((name) =>
    name === "active"
      ? [...disk.names(disk.find(path(name)) as number).keys()].map((key) => `active/${key}`)
      : name,
  );

function changed(disk: Disk, name: string, change: (bytes: Uint8Array) => Uint8Array): Disk {
  const copy = disk.copy();
  const node = copy.find(path(name)) as number;
  const bytes = change(new Uint8Array(copy.content(node)));
  copy.apply({ node, path: name, change: { kind: "truncate", size: 0 } });
  copy.apply({ node, path: name, change: { kind: "write", at: 0, bytes } });
  return copy;
}

/** Facts: what is known of parts and finished files, one a line. */
function facts(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const words = line.split(" ");
    const chunks = (words[3] ?? "").split(",");
    return words.length > 1 ? chunks.map((chunk) => `${words[0]} ${words[1]} ${chunk}`) : line;
  });
}

async function recoveredFrom(disk: Disk) {
  const checkpoint = await openOn(new CrashFiles({ disk }));
  const { recovered } = checkpoint;
  await checkpoint.record(batch({ done: done(77) }));
  await checkpoint.close();
  const again = await openOn(new CrashFiles({ disk }));
  await again.close();
  return { text: Model.of(recovered).text(), notes: recovered.notes, after: again };
}

describe("damage", () => {
  it("of any byte of any file costs what that byte told, is said, and makes nothing up", async () => {
    const disk = await filled();
    const whole = await recoveredFrom(disk.copy());
    const known = new Set(everKnown.flatMap(facts));
    expect(names(disk)).toEqual(expect.arrayContaining(["binding", "done"]));
    expect(names(disk).filter((name) => name.startsWith("journal-")).length).toBeGreaterThan(1);
    expect(names(disk).filter((name) => name.startsWith("active/")).length).toBeGreaterThan(0);
    for (const name of names(disk)) {
      const size = disk.content(disk.find(path(name)) as number).length;
      for (let at = 0; at < size; at += 1) {
        const flipped = changed(disk, name, (bytes) => {
          bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
          return bytes;
        });
        const { text, notes, after } = await recoveredFrom(flipped);
        expect(
          facts(text).filter((fact) => !known.has(fact)),
          `${name} at ${at}`,
        ).toEqual([]);
        if (text !== whole.text || name === "binding") expect(notes, `${name} at ${at}`).not.toEqual([]);
        expect(after.isDone(done(77).subarray(0, 16))).toBe(true);
        expect(after.recovered.notes).toEqual([]);
      }
    }
  }, 120_000);

  it("in the index costs one group: those behind it are found", async () => {
    const disk = new Disk();
    for (const number of [1, 2, 3]) {
      const checkpoint = await openOn(new CrashFiles({ disk }));
      await checkpoint.record(batch({ done: done(number) }));
      await checkpoint.close();
    }
    const flipped = changed(disk, "done", (bytes) => {
      bytes[52 + 20 + 56 + 30] = 0xff; // in the second of three groups
      return bytes;
    });
    const checkpoint = await openOn(new CrashFiles({ disk: flipped }));
    expect(checkpoint.recovered).toMatchObject({ doneFiles: 2, doneBytes: 2_000 });
    expect(checkpoint.recovered.notes).toMatchObject([
      { kind: "index_damaged", path: path("done"), bytes: 76 },
    ]);
    await checkpoint.close();
    // Rewritten without the damage.
    const again = await openOn(new CrashFiles({ disk: flipped }));
    expect(again.recovered).toMatchObject({ doneFiles: 2, notes: [] });
    await again.close();
  });
});

describe("what is not this checkpoint's", () => {
  const refused = (disk: Disk, binding = PLACE.binding) =>
    openCheckpoint({ ...PLACE, binding, files: new CrashFiles({ disk }) }).then(
      () => undefined,
      (error: unknown) => error as PbError,
    );

  it("another job's or another destination's is refused, by name, and left as it is", async () => {
    const disk = await filled();
    const before = await recoveredFrom(disk.copy());
    const job = await refused(disk, { ...PLACE.binding, job: "k" });
    expect(job).toMatchObject({ code: "wrong_job", path: PLACE.directory });
    expect(job?.message).toContain("of job j, not of k");
    const destination = await refused(disk, { ...PLACE.binding, destination: "d:/y" });
    expect(destination?.message).toContain("of destination d:/x, not of d:/y");
    expect((await recoveredFrom(disk)).text).toBe(before.text);
  });

  it("a file of another job among ours is refused", async () => {
    const ours = await filled();
    const theirs = await filled({ job: "k", destination: "d:/x" });
    for (const name of names(ours)) {
      const mixed = changed(ours, name, () => theirs.content(theirs.find(path(name)) as number));
      expect(await refused(mixed), name).toMatchObject({ code: "wrong_job" });
    }
  });

  it("another version is refused, with what to do, and not changed", async () => {
    const disk = await filled();
    for (const name of names(disk)) {
      const newer = changed(disk, name, (bytes) => {
        const view = Buffer.from(bytes.buffer);
        view.writeUInt16BE(FORMAT_VERSION + 1, 4);
        view.writeUInt32BE(crc32(view.subarray(0, 48)), 48);
        return bytes;
      });
      const error = await refused(newer);
      expect(error, name).toMatchObject({ code: "unsupported_version", path: path(name) });
      expect(error?.message).toContain(`format ${FORMAT_VERSION + 1}, this pb knows ${FORMAT_VERSION}`);
      expect(error?.hint).toContain("--resume never");
    }
  });

  it("an empty folder, and none, are an empty checkpoint; a file in its place is refused", async () => {
    const disk = new Disk();
    const files = new CrashFiles({ disk });
    for (const folder of ["/state", "/state/jobs", PLACE.directory]) await files.makeFolder(folder);
    const checkpoint = await openOn(files);
    expect(checkpoint.recovered).toMatchObject({ parts: [], doneFiles: 0, partBytes: 0, notes: [] });
    await checkpoint.close();

    const taken = new Disk();
    const other = new CrashFiles({ disk: taken });
    await other.makeFolder("/state");
    await other.create("/state/jobs");
    expect(await refused(taken)).toBeInstanceOf(PbError);
  });

  it("bytes behind the last record that are valid in another generation are not taken", async () => {
    const disk = new Disk();
    const checkpoint = await openOn(new CrashFiles({ disk }));
    await checkpoint.record(batch({ parts: [part(1, runs(1, [0, 1]))] }));
    const first = disk.content(disk.find(path("journal-1")) as number).slice(52);
    const again = disk.crashed((change) => change);
    const resumed = await openOn(new CrashFiles({ disk: again }));
    await resumed.record(batch({ parts: [part(1, runs(1, [1, 1]))] }));
    const stale = changed(
      again.crashed((change) => change),
      "journal-2",
      (bytes) => Buffer.concat([bytes, first]),
    );
    const { text, notes } = await recoveredFrom(stale);
    expect(facts(text).filter((fact) => fact.includes(":"))).toHaveLength(2);
    expect(notes).toMatchObject([{ kind: "torn_tail", bytes: first.length }]);
  });
});
