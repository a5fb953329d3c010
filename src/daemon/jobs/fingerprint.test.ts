import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { Overwrite, StartRequestSchema, Transport } from "../../gen/packetboat/v1/transfer_pb.ts";
import { fingerprintOf } from "./fingerprint.ts";

type Init = MessageInitShape<typeof StartRequestSchema>;

const place = (path: string, remote = "") => ({ remote, path: Buffer.from(path) });
const base: Init = {
  sources: [place("/a")],
  destination: place("/b", "box"),
  options: { overwrite: Overwrite.ALWAYS },
};
const of = (more: Init = {}) => fingerprintOf(create(StartRequestSchema, { ...base, ...more } as Init));

describe("the fingerprint of a transfer", () => {
  it.each<[string, Init]>([
    [
      "lanes, transport, chunks, memory, limit, seal, controller",
      {
        options: {
          overwrite: Overwrite.ALWAYS,
          lanes: 3,
          transport: Transport.TCP,
          chunkBytes: 65_536,
          memoryBytes: 1n << 24n,
          limitBytesPerSecond: 9n,
          sealOff: true,
          controller: "cubic",
          parallelFiles: 2,
        },
      },
    ],
    [
      "label, deadline, retries, files to write",
      {
        label: "x",
        deadlineMs: 5n,
        retries: 1,
        keepHistorySeconds: 5n,
        manifestFile: "/m",
        traceFile: "/t",
      },
    ],
  ])("does not depend on %s", (_, more) => {
    expect(of(more)).toBe(of());
  });

  it.each<[string, Init]>([
    ["sources", { sources: [place("/a2")] }],
    ["destination", { destination: place("/b") }],
    ["move", { move: true }],
    ["several", { several: true }],
    ["overwrite", { options: { overwrite: Overwrite.NEVER } }],
    ["filters", { options: { overwrite: Overwrite.ALWAYS, filters: [{ include: false, pattern: "x" }] } }],
    ["files-from", { options: { overwrite: Overwrite.ALWAYS, filesFrom: [Buffer.from("x")] } }],
    ["sizes", { options: { overwrite: Overwrite.ALWAYS, minSize: 0n } }],
    ["permissions", { options: { overwrite: Overwrite.ALWAYS, permsOff: true } }],
    ["links", { options: { overwrite: Overwrite.ALWAYS, follow: true } }],
  ])("depends on %s", (_, more) => {
    expect(of(more)).not.toBe(of());
  });

  it("is that of the patterns where there are any: what they match changes while it is moved", () => {
    const patterns = [Buffer.from("/a/*")];
    const all = of({ patterns, sources: [place("/a/1"), place("/a/2")] });
    expect(of({ patterns, sources: [place("/a/2")] })).toBe(all);
    expect(of({ sources: [place("/a/2")] })).not.toBe(all);
  });
});
