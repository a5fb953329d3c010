import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { PASSWORD, USER } from "../../../test/servers/accounts.ts";
import * as proftpd from "../../../test/servers/proftpd.ts";
import * as vsftpd from "../../../test/servers/vsftpd.ts";
import { Secret } from "../../model/endpoint.ts";
import { chunkSuite } from "../conformance/chunks.ts";
import { type Fixture, folderPlace, type Traits } from "../conformance/fixture.ts";
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
  });
}
