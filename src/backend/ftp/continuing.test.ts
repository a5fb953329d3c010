import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PASSWORD, USER } from "../../../test/servers/accounts.ts";
import * as proftpd from "../../../test/servers/proftpd.ts";
import type { FtpServer } from "../../../test/servers/vsftpd.ts";
import { Secret } from "../../model/endpoint.ts";
import { folderPlace, never, refused, sampleText } from "../conformance/fixture.ts";
import { openFtp } from "./backend.ts";

const why = proftpd.available();
const PIECE = 30_000;
const text = sampleText(3 * PIECE);
const pieces = [0, PIECE, 2 * PIECE].map((at) => ({ at, bytes: Buffer.from(text.slice(at, at + PIECE)) }));
const options = { size: text.length, meta: { mtimeNs: 0n }, sync: true, nameTag: 7, signal: never };

describe.skipIf(why !== undefined)(
  `proftpd without AllowStoreRestart${why ? ` (SKIPPED: ${why})` : ""}`,
  () => {
    let server: FtpServer;
    beforeAll(async () => {
      server = await proftpd.startProftpd({ tls: "none", storeRestart: false });
    });
    afterAll(() => server?.stop());

    async function open(place: { readonly root: string }) {
      const { host, port, folder } = server;
      const settings = { host, port, user: USER, path: place.root, tls: "off" };
      const secret = async () => new Secret(PASSWORD);
      const backend = await openFtp(
        { kind: "ftp", settings, secret },
        { name: "far", home: folder, env: {} },
      );
      if (backend.native.kind !== "chunks") throw new TypeError("no chunks");
      return { backend, chunks: backend.native.chunks, [Symbol.asyncDispose]: () => backend.close() };
    }

    test("a file in pieces, of which nothing is said that a later run could go on with", async () => {
      await using place = await folderPlace();
      await using far = await open(place);
      await using sink = await far.chunks.create("f", options);
      for (const { at, bytes } of pieces) {
        await sink.write(at, [bytes], never);
        expect((await sink.state(never)).length).toBe(0);
      }
      await sink.commit(never);
      expect((await place.read("f")) === text).toBe(true);
      expect(far.backend.capabilities.resumeWrite).toMatch(/continues no upload/);
    });

    test("what an earlier run has left is removed, and begun anew", async () => {
      await using place = await folderPlace();
      await using far = await open(place);
      const part = ".pb-0000000700000001.part";
      await place.write(part, text.slice(0, PIECE));
      await refused("corrupt_checkpoint", far.chunks.create("f", { ...options, resume: Buffer.from(part) }));
      expect(await readdir(place.root)).toEqual([]);
    });

    test("one that is neither given its name nor discarded leaves nothing", async () => {
      await using place = await folderPlace();
      await using far = await open(place);
      const sink = await far.chunks.create("f", options);
      for (const { at, bytes } of pieces.slice(0, 1)) await sink.write(at, [bytes], never);
      await sink[Symbol.asyncDispose]();
      expect(await readdir(place.root)).toEqual([]);
    });

    test("more files at once than connections, a piece of each in turn: what was broken off is written again", async () => {
      await using place = await folderPlace();
      await using far = await open(place);
      const names = Array.from({ length: far.chunks.maxCalls + 2 }, (_, n) => `f${n}`);
      const sinks = await Promise.all(names.map((name) => far.chunks.create(name, options)));
      for (const { at, bytes } of pieces)
        await Promise.all(sinks.map((sink) => sink.write(at, [bytes], never)));
      await Promise.all(sinks.map((sink) => sink.commit(never)));
      for (const name of names) expect((await place.read(name)) === text).toBe(true);
      expect((await readdir(place.root)).sort()).toEqual(names.sort());
    });
  },
);
