/** The servers that other tests use are what those tests take them for. */

import { connect } from "node:net";
import { expect, test } from "vitest";
import * as proftpd from "./proftpd.ts";
import * as sshd from "./sshd.ts";
import * as vsftpd from "./vsftpd.ts";

const SERVERS: readonly (readonly [
  string,
  string | undefined,
  () => Promise<AsyncDisposable & { readonly port: number }>,
  RegExp,
])[] = [
  ["sshd", sshd.available(), () => sshd.startSshd(), /^SSH-2\.0-OpenSSH/],
  ["vsftpd", vsftpd.available(), () => vsftpd.startVsftpd({ tls: "explicit" }), /^220 \(vsFTPd/],
  ["proftpd", proftpd.available(), () => proftpd.startProftpd({ tls: "explicit" }), /^220 ProFTPD/],
];

for (const [name, whyNot, start, greeting] of SERVERS) {
  test.skipIf(whyNot !== undefined)(`${name} answers${whyNot ? ` (SKIPPED: ${whyNot})` : ""}`, async () => {
    await using server = await start();
    expect(await firstLine(server.port)).toMatch(greeting);
  });
}

function firstLine(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("error", reject);
    socket.once("data", (data) => {
      socket.destroy();
      resolve(data.toString());
    });
  });
}
