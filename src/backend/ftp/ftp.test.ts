import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PASSWORD, USER } from "../../../test/servers/accounts.ts";
import * as proftpd from "../../../test/servers/proftpd.ts";
import * as vsftpd from "../../../test/servers/vsftpd.ts";
import { Secret } from "../../model/endpoint.ts";
import { chunkSuite } from "../conformance/chunks.ts";
import { type Fixture, folderPlace, never, sampleText, type Traits } from "../conformance/fixture.ts";
import { backendSuite } from "../conformance/suite.ts";
import { openFtp } from "./backend.ts";

/** Line breaks and 0xFF: see ground.ts. */
const UNSAYABLE = ["a newline", "invalid UTF-8", "CRLF and tab"];
/** proftpd takes a '*' in a new folder's name for a pattern, and refuses it. */
const PATTERNS = ["shell words"];

const SERVERS = [
  ["vsftpd", "explicit", vsftpd.available(), vsftpd.startVsftpd, []],
  ["proftpd", "off", proftpd.available(), proftpd.startProftpd, PATTERNS],
] as const;

for (const [name, tls, why, start, without] of SERVERS) {
  describe.skipIf(why !== undefined)(`${name}${why ? ` (SKIPPED: ${why})` : ""}`, () => {
    let server: vsftpd.FtpServer;
    beforeAll(async () => {
      server = await start({ tls: tls === "off" ? "none" : tls });
      await writeFile(join(server.folder, "ca.pem"), server.authority);
    });
    afterAll(() => server?.stop());

    async function open(): Promise<Fixture> {
      const place = await folderPlace();
      const { host, port, folder } = server;
      const authority = tls === "off" ? {} : { ca_file: join(folder, "ca.pem") };
      const settings = { host, port, user: USER, path: place.root, tls, ...authority };
      const secret = async (wanted: string) => (wanted === "password" ? new Secret(PASSWORD) : undefined);
      const backend = await openFtp(
        { kind: "ftp", settings, secret },
        { name: "far", home: folder, env: {} },
      );
      return {
        backend,
        place,
        async [Symbol.asyncDispose]() {
          await backend.close();
          await place[Symbol.asyncDispose]();
        },
      };
    }
    const traits: Traits = {
      links: false,
      permissions: false,
      names: "bytes",
      without: [...UNSAYABLE, ...without],
      // Of a server without MLSD each time is asked for.
      requestPerEntry: name === "vsftpd",
    };
    backendSuite(`ftp (${name}, TLS ${tls})`, open, traits);
    chunkSuite(`ftp (${name}, TLS ${tls})`, open);

    test("more files at once than connections, a piece of each in turn", async () => {
      await using fixture = await open();
      const { backend, place } = fixture;
      if (backend.native.kind !== "chunks") throw new TypeError("no chunks");
      const { chunks } = backend.native;
      const text = sampleText(90_000);
      const names = Array.from({ length: chunks.maxCalls + 4 }, (_, n) => `f${n}`);
      const options = { size: text.length, meta: { mtimeNs: 0n }, sync: true, signal: never };
      const sinks = await Promise.all(names.map((name) => chunks.create(name, options)));
      for (let at = 0; at < text.length; at += 30_000) {
        const piece = Buffer.from(text.slice(at, at + 30_000));
        await Promise.all(sinks.map((sink) => sink.write(at, [piece], never)));
      }
      await Promise.all(sinks.map((sink) => sink.commit(never)));
      for (const name of names) expect((await place.read(name)) === text).toBe(true);
      const known = { size: text.length, mtimeNs: 0n };
      const sources = await Promise.all(names.map((name) => chunks.open(name, { known, signal: never })));
      const read = sources.map(() => Buffer.alloc(text.length));
      for (let at = 0; at < text.length; at += 30_000) {
        const each = sources.map((source, n) =>
          source.read(at, (read[n] ?? Buffer.alloc(0)).subarray(at, at + 30_000), never),
        );
        await Promise.all(each);
      }
      for (const bytes of read) expect(bytes.equals(Buffer.from(text))).toBe(true);
      await Promise.all(sources.map((source) => source[Symbol.asyncDispose]()));
    });
  });
}
