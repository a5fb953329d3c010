import { setTimeout as sleep } from "node:timers/promises";
import { describe } from "vitest";
import { available as nginxMissing, startNginx } from "../../../test/servers/nginx.ts";
import {
  RCLONE_CACHE_MS,
  available as rcloneMissing,
  startRcloneWebdav,
} from "../../../test/servers/rclone-webdav.ts";
import { type EndpointConfig, Secret } from "../../model/endpoint.ts";
import { chunkSuite } from "../conformance/chunks.ts";
import { type Fixture, folderPlace } from "../conformance/fixture.ts";
import { backendSuite } from "../conformance/suite.ts";
import { openWebdav } from "./backend.ts";

const tools = { name: "dav", home: "/nonexistent", env: {} };

interface Server {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  stop(): Promise<void>;
}

function config({ url, user, password }: Server, keeps_times: boolean): EndpointConfig {
  return {
    kind: "webdav",
    settings: { url, user, keeps_times },
    secret: async (name) => (name === "password" ? new Secret(password) : undefined),
  };
}

const fixture =
  (start: (root: string) => Promise<Server>, keepsTimes = false) =>
  async (): Promise<Fixture> => {
    const place = await folderPlace();
    const server = await start(place.root);
    const backend = await openWebdav(config(server, keepsTimes), tools);
    return {
      backend,
      place,
      async [Symbol.asyncDispose]() {
        await backend.close();
        await place[Symbol.asyncDispose]();
        await server.stop();
      },
    };
  };

const nginx = fixture(async (root) => {
  const account = { name: "sailor", password: "only for this test" };
  const { url, stop } = await startNginx({ dav: true, user: account, root });
  return { url, stop, user: account.name, password: account.password };
});

const rclone = async (): Promise<Fixture> => {
  const opened = await fixture((root) => startRcloneWebdav({ root }))();
  const { place } = opened;
  const seen = () => sleep(RCLONE_CACHE_MS + 10);
  const write = (path: string, content: string) => place.write(path, content).then(seen);
  const fill = (folder: string, count: number) => place.fill(folder, count).then(seen);
  return { ...opened, place: { ...place, write, fill } };
};

const TRAITS = { links: false, permissions: false, names: "bytes" } as const;

const noNginx = nginxMissing({ dav: true });

describe.skipIf(noNginx !== undefined)(`WebDAV of nginx${noNginx ? ` (SKIPPED: ${noNginx})` : ""}`, () => {
  // It leaves out names that begin with a dot.
  backendSuite("webdav (nginx)", nginx, {
    ...TRAITS,
    showsHidden: false,
    without: ["three dots", "backslashes"],
  });
  // Its ETags are of the time in seconds and the size.
  chunkSuite("webdav (nginx)", nginx, { tellsVersions: false });
});

const noRclone = rcloneMissing();

describe.skipIf(noRclone !== undefined)(
  `WebDAV of rclone${noRclone ? ` (SKIPPED: ${noRclone})` : ""}`,
  () => {
    backendSuite("webdav (rclone)", rclone, {
      ...TRAITS,
      // It shows control characters as pictures of them.
      without: ["a newline", "terminal escapes", "CRLF and tab"],
    });
    chunkSuite("webdav (rclone)", rclone);
  },
);
