import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { EntrySchema } from "../gen/packetboat/v1/types_pb.ts";
import type { Entry } from "../model/entry.ts";
import { entryMessage, entryOfMessage } from "./entry.ts";

const entry: Entry = {
  path: "a/\udcffb\n",
  kind: "symlink",
  size: 0,
  mtimeNs: -1n,
  mode: 0o777,
  uid: 1,
  gid: 2,
  linkTarget: "../x",
  inode: 7n,
  device: 9n,
};

describe("entries over the API", () => {
  it("survive the way there and back", () => {
    expect(entryOfMessage(entryMessage(entry))).toEqual(entry);
  });

  it.each(["../x", "/x", "a/../b", "a//b", "./a", "a/", "a\0b"])("refuses the listed name %j", (path) => {
    const message = create(EntrySchema, { path: Buffer.from(path) });
    expect(() => entryOfMessage(message)).toThrow(
      expect.objectContaining({ code: path.includes("\0") ? "invalid_path" : "path_escapes" }),
    );
  });

  it("refuses a size beyond what a number holds", () => {
    const message = create(EntrySchema, { path: Buffer.from("a"), size: 2n ** 60n });
    expect(() => entryOfMessage(message)).toThrow(expect.objectContaining({ code: "protocol_violation" }));
  });
});
