import { once } from "node:events";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import {
  enrolClient,
  inviteOf,
  removeFolders,
  startServer,
  type TestServer,
  testFolder,
} from "../../test/support/server.ts";
import { decodeInvite } from "../credential/invite.ts";
import { openRemotes } from "../credential/remotes.ts";
import { AdminService } from "../gen/packetboat/v1/admin_pb.ts";
import { FileService } from "../gen/packetboat/v1/file_pb.ts";
import { fromConnectError } from "../wire/connect.ts";
import { connectRemote } from "./open-remote.ts";

const running: TestServer[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});
afterAll(removeFolders);

async function start(...given: Parameters<typeof startServer>): Promise<TestServer> {
  const server = await startServer(...given);
  running.push(server);
  return server;
}

const error = (code: string) => expect.objectContaining({ code });

describe("a server", () => {
  it("keeps its identity, its clients and its invite over a restart", async () => {
    const first = await start();
    const invite = await inviteOf(first);
    await first.stop();
    const second = await start({ folder: first.folder, port: first.ready.port });
    expect(second.ready.fingerprint).toBe(first.ready.fingerprint);
    expect(second.ready.invite).toBeUndefined();
    const home = await enrolClient(invite);
    await using connection = await connectRemote(openRemotes(home), "box");
    const client = createClient(AdminService, connection.transport);
    const before = await client.info({});
    await second.stop();
    // A new certificate of the same authority changes nothing for its clients.
    await rm(join(first.state, "server.key"));
    await start({ folder: first.folder, port: first.ready.port });
    const after = await client.info({});
    expect(after.clientId).toBe(before.clientId);
  });

  it("puts what is advertised into invites, with its own port where none is given", async () => {
    const server = await start({ serve: { advertise: ["box.example", "[2001:db8::1]:99"] } });
    const { addresses } = decodeInvite(await inviteOf(server));
    expect(addresses).toEqual([`box.example:${server.ready.port}`, "[2001:db8::1]:99"]);
    const made = await server.actions.invite({
      state: server.state,
      readOnly: true,
      path: "sub//dir",
      expiresSeconds: 60,
      uses: 2,
    });
    expect(made).toMatchObject({ readOnly: true, path: "/sub/dir", uses: 2 });
    expect(decodeInvite(made.invite).addresses).toEqual(addresses);
  });

  it("refuses to start on keys that others may read, a root that is not there, a taken port", async () => {
    const server = await start();
    const port = server.ready.port;
    await expect(startServer({ port })).rejects.toThrow();
    await server.stop();
    await chmod(join(server.state, "ca.key"), 0o644);
    await expect(startServer({ folder: server.folder })).rejects.toThrow(
      expect.objectContaining({ code: "permission_denied", path: join(server.state, "ca.key") }),
    );
    await expect(startServer({ roots: ["/none/such"] })).rejects.toThrow(
      expect.objectContaining({ code: "not_found", path: "/none/such" }),
    );
    await expect(startServer({ roots: [] })).rejects.toThrow(error("usage"));
  });

  it("drains: a call that runs may end, new ones are refused", async () => {
    const server = await start({ serve: { drainSeconds: 20 } });
    await mkdir(join(server.root, "many"));
    await Promise.all(
      Array.from({ length: 3000 }, (_, at) => writeFile(join(server.root, "many", `f${at}`), "")),
    );
    const home = await enrolClient(await inviteOf(server));
    await using connection = await connectRemote(openRemotes(home), "box");
    const files = createClient(FileService, connection.transport);
    const listing = files.list({ location: {}, recursive: true })[Symbol.asyncIterator]();
    let count = (await listing.next()).value?.entries.length ?? 0;
    const stopped = server.stop();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const refused = files.stat({ location: {} }).catch((caught: unknown) => fromConnectError(caught));
    expect(await refused).toEqual(error("unreachable"));
    for (let next = await listing.next(); !next.done; next = await listing.next()) {
      count += next.value.entries.length;
    }
    expect(count).toBe(3001);
    await stopped;
  });

  it("cuts off who opens calls only to cancel them", async () => {
    const server = await start();
    const session = connectHttp2(`https://${server.address}`, { rejectUnauthorized: false });
    session.on("error", () => {});
    await once(session, "connect");
    session.setMaxListeners(0);
    // Each has arrived before the next.
    const arrived = () =>
      new Promise<boolean>((resolve) => {
        session.once("close", () => resolve(false));
        session.ping((failed) => resolve(failed === null));
      });
    let calls = 0;
    do {
      const stream = session.request({ ":path": "/packetboat.v1.FileService/Stat", ":method": "POST" });
      stream.on("error", () => {});
      stream.close(constants.NGHTTP2_CANCEL);
      calls += 1;
    } while (calls < 400 && (await arrived()));
    expect(calls).toBeGreaterThan(190);
    expect(calls).toBeLessThan(400);
    await enrolClient(await inviteOf(server));
  });

  it("serves on while connections that never speak are open", async () => {
    const server = await start();
    const silent = Array.from({ length: 700 }, () => connectTcp(server.ready.port, "127.0.0.1"));
    for (const socket of silent) socket.on("error", () => {});
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    await enrolClient(await inviteOf(server));
    for (const socket of silent) socket.destroy();
  });

  it("writes no secret into its log", async () => {
    const folder = await testFolder();
    const logFile = join(folder, "log");
    const server = await start({ serve: { logFile, logLevel: "trace" } });
    const invite = await inviteOf(server);
    await enrolClient(invite);
    await expect(enrolClient(invite)).rejects.toThrow(error("token_used"));
    await server.stop();
    const log = await readFile(logFile, "utf8");
    const { token } = decodeInvite(invite);
    expect(log).toContain('"msg":"enrolled"');
    for (const secret of [token, invite, "PRIVATE KEY"]) expect(log).not.toContain(secret);
    for (const line of log.trim().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
  });
});
