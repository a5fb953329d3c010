import { expect, test } from "vitest";
import { pathBytes } from "../model/path.ts";
import { packEntries } from "./pack.ts";
import type { SendEntry } from "./types.ts";

const ENTRY: SendEntry = {
  root: 1,
  source: "a/\udcff",
  target: "é",
  kind: "symlink",
  size: 2 ** 40,
  mtimeNs: -1n,
  mode: 0o755,
  uid: 7,
  gid: 8,
  inode: 2n ** 64n - 1n,
  linkTarget: "x",
};

test("an entry is packed field by field", () => {
  const packed = Buffer.from(packEntries([ENTRY, { ...ENTRY, sourceFd: 3 }]));
  expect(packed.length).toBe(2 * (43 + 2 + 3 + 2 + 2 + 2 + 1));
  expect([packed.readUInt8(0), packed.readUInt16LE(1), packed.readInt32LE(3)]).toEqual([2, 1, -1]);
  expect(packed.readBigUInt64LE(7)).toBe(BigInt(2 ** 40));
  expect(packed.readBigInt64LE(15)).toBe(-1n);
  expect([packed.readUInt32LE(23), packed.readUInt32LE(27), packed.readUInt32LE(31)]).toEqual([0o755, 7, 8]);
  expect(packed.readBigUInt64LE(35)).toBe(2n ** 64n - 1n);
  expect([...packed.subarray(43, 48)]).toEqual([3, 0, 0x61, 0x2f, 0xff]);
  expect(packed.readInt32LE(55 + 3)).toBe(3);
});

test.each(["ä€", "😀/x", "a\udc80\udcfe😀", ""])("%j is packed as its bytes", (target) => {
  const packed = Buffer.from(packEntries([{ ...ENTRY, source: "s", target, linkTarget: "l" }, ENTRY]));
  const bytes = Buffer.from(pathBytes(target));
  const at = 43 + 3;
  expect(packed.readUInt16LE(at)).toBe(bytes.length);
  expect(packed.subarray(at + 2, at + 2 + bytes.length)).toEqual(bytes);
  expect(packed.length).toBe(at + 2 + bytes.length + 3 + (43 + 2 + 3 + 2 + 2 + 2 + 1));
});

test("a path that can't be packed is named", () => {
  expect(() => packEntries([{ ...ENTRY, source: "x".repeat(70_000) }])).toThrow(
    expect.objectContaining({ code: "invalid_path" }),
  );
});
