import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TransferOptionsSchema } from "../gen/packetboat/v1/transfer_pb.ts";
import { EntrySchema, ErrorInfoSchema } from "../gen/packetboat/v1/types_pb.ts";
import { ERROR_CODES, PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";
import { resolveOptions } from "../model/transfer.ts";
import { entryFromWire, entryToWire } from "./entry.ts";
import { errorFromWire, errorToWire } from "./error.ts";
import { optionsFromWire, optionsToWire } from "./options.ts";

const anyPath = fc.uint8Array({ minLength: 1, maxLength: 40 }).map(pathText);

describe("wire", () => {
  it("carries every entry through bytes unchanged, names that are not UTF-8 too", () => {
    const entry = fc.record({
      path: anyPath,
      kind: fc.constantFrom("file", "directory", "symlink", "other"),
      size: fc.maxSafeNat(),
      mtimeNs: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      gid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      linkTarget: anyPath,
      inode: fc.bigInt(1n, 2n ** 64n - 1n),
      device: fc.bigInt(0n, 2n ** 64n - 1n),
    });
    const untold = fc.constantFrom(
      {},
      { modeUnknown: true as const },
      { modeUnknown: true as const, ownerUnknown: true as const },
    );
    fc.assert(
      fc.property(entry, untold, (told, more) => {
        const given = { ...told, ...more };
        const bytes = toBinary(EntrySchema, entryToWire(given));
        expect(entryFromWire(fromBinary(EntrySchema, bytes))).toEqual(given);
      }),
    );
  });

  it("carries an error's code, path, peer, hint and retryable", () => {
    fc.assert(
      fc.property(fc.constantFrom(...ERROR_CODES), anyPath, fc.boolean(), (code, path, retryable) => {
        const given = new PbError(code, "what happened", { path, peer: "box", hint: "do this", retryable });
        const bytes = toBinary(ErrorInfoSchema, errorToWire(given));
        const back = errorFromWire(fromBinary(ErrorInfoSchema, bytes));
        expect({ ...back, message: back.message }).toEqual({ ...given, message: given.message });
      }),
    );
  });

  it("names the peer when its error does not", () => {
    expect(errorFromWire(errorToWire(new PbError("no_space", "full")), "box").peer).toBe("box");
  });

  it("carries options through bytes, the defaults and all others", () => {
    for (const given of [
      resolveOptions(),
      resolveOptions({
        filters: [{ include: false, pattern: "*.o" }],
        filesFrom: ["a/b"],
        minSize: 1,
        maxAgeSeconds: 60,
        overwrite: "never",
        transport: "tcp",
        lanes: 16,
        chunkBytes: 65536,
        seal: false,
        fsync: false,
        perms: false,
        owner: true,
        follow: true,
        controller: "cubic",
      }),
    ]) {
      const bytes = toBinary(TransferOptionsSchema, optionsToWire(given));
      expect(optionsFromWire(fromBinary(TransferOptionsSchema, bytes))).toEqual(given);
    }
  });

  it.each([
    { lanes: 17 },
    { chunkBytes: 65537 },
    { chunkBytes: 2 ** 21 },
    { memoryBytes: 1n },
    { limitBytesPerSecond: 2n ** 63n },
    { controller: "reno" },
  ])("refuses %o", (bad) => {
    const wire = { ...optionsToWire(resolveOptions()), ...bad };
    expect(() => optionsFromWire(wire)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });
});
