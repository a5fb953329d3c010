import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { EntrySchema } from "../gen/packetboat/v1/types_pb.ts";
import { listedFromWire } from "./listed.ts";

describe("a peer's listing", () => {
  it.each(["", "a", "a/b", "..a", "a/...", " "])("takes %j", (path) => {
    expect(listedFromWire(create(EntrySchema, { path: Buffer.from(path) }), "box").path).toBe(path);
  });

  it.each(["../x", "/x", "a/../b", "a//b", "./a", "a/", "a\0b"])("refuses the name %j", (path) => {
    const message = create(EntrySchema, { path: Buffer.from(path) });
    expect(() => listedFromWire(message, "box")).toThrow(
      expect.objectContaining({ code: path.includes("\0") ? "invalid_path" : "path_escapes", peer: "box" }),
    );
  });

  it("refuses a size beyond what a number holds", () => {
    const message = create(EntrySchema, { path: Buffer.from("a"), size: 2n ** 60n });
    expect(() => listedFromWire(message, "box")).toThrow(
      expect.objectContaining({ code: "protocol_violation" }),
    );
  });
});
