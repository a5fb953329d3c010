import { afterAll, beforeAll, describe } from "vitest";
import { USER } from "../../../test/servers/accounts.ts";
import { available, type SshServer, startSshd } from "../../../test/servers/sshd.ts";
import { chunkLinkSuite } from "../conformance/chunk-links.ts";
import { chunkSuite } from "../conformance/chunks.ts";
import { type Fixture, folderPlace } from "../conformance/fixture.ts";
import { backendSuite } from "../conformance/suite.ts";
import { openSftp } from "./backend.ts";

const why = available();

describe.skipIf(why !== undefined)(`openssh-server${why ? ` (SKIPPED: ${why})` : ""}`, () => {
  let server: SshServer;
  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(() => server?.stop());

  async function open(): Promise<Fixture> {
    const place = await folderPlace();
    const { host, port, key } = server;
    const settings = {
      host,
      port,
      user: USER,
      path: place.root,
      key_file: key,
      agent: false,
      host_key: "accept-new",
    };
    const tools = { name: "far", home: server.folder, env: { HOME: server.folder } };
    const backend = await openSftp({ kind: "sftp", settings, secret: async () => undefined }, tools);
    return {
      backend,
      place,
      async [Symbol.asyncDispose]() {
        await backend.close();
        await place[Symbol.asyncDispose]();
      },
    };
  }
  backendSuite("sftp", open);
  chunkSuite("sftp", open);
  chunkLinkSuite("sftp", open);
});
