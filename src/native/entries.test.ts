import { expect, test } from "vitest";
import { PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";
import { decodeBatch } from "./entries.ts";

/** What native/pb-node/src/fs/pack.rs writes for a link "l\xff" to "/t". */
function packedLink(): Buffer {
  const head = Buffer.alloc(49);
  head.writeUInt8(2, 0);
  head.writeUInt16LE(2, 1);
  head.writeUInt16LE(2, 3);
  head.writeUInt32LE(0o777, 5);
  head.writeUInt32LE(1000, 9);
  head.writeUInt32LE(100, 13);
  head.writeBigUInt64LE(2n ** 33n + 5n, 17);
  head.writeBigInt64LE(-1n, 25);
  head.writeBigUInt64LE(2n ** 64n - 1n, 33);
  head.writeBigUInt64LE(7n, 41);
  return Buffer.concat([head, Buffer.from("l\xff/t", "latin1")]);
}

function packedError(): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt8(255, 0);
  head.writeUInt16LE(3, 1);
  head.writeUInt8("io_error".length, 3);
  head.writeUInt8("stat".length, 4);
  head.writeInt32LE(5, 5);
  return Buffer.concat([head, Buffer.from("a/bio_errorstat")]);
}

test("entries and errors of one batch", () => {
  const { entries, errors } = decodeBatch(Buffer.concat([packedLink(), packedError(), packedLink()]));
  expect(entries).toHaveLength(2);
  expect(entries[1]).toEqual({
    path: pathText(Buffer.from([0x6c, 0xff])),
    kind: "symlink",
    size: 2 ** 33 + 5,
    mtimeNs: -1n,
    mode: 0o777,
    uid: 1000,
    gid: 100,
    inode: 2n ** 64n - 1n,
    device: 7n,
    linkTarget: "/t",
  });
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatchObject({ code: "io_error", path: "a/b" });
  expect(errors[0]?.message).toContain("EIO");
});

test("nothing but whole records", () => {
  const batch = Buffer.concat([packedError(), packedLink()]);
  for (let cut = 1; cut < batch.length; cut += 1) {
    if (cut === packedError().length) continue;
    expect(() => decodeBatch(batch.subarray(0, cut)), `cut at ${cut}`).toThrow(PbError);
  }
  expect(() => decodeBatch(Buffer.alloc(49, 9))).toThrow(PbError);
});
