import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  enrolClient,
  inviteOf,
  moreInvite,
  removeFolders,
  startServer,
  type TestServer,
  testFolder,
} from "../../test/support/server.ts";
import { decodeInvite, encodeInvite, newToken } from "../credential/invite.ts";
import { openRemotes } from "../credential/remotes.ts";
import { AdminService } from "../gen/packetboat/v1/admin_pb.ts";
import { connectRemote } from "./open-remote.ts";
import { createRemoteActions } from "./remotes.ts";

let server: TestServer;
beforeEach(async () => {
  server = await startServer();
});
afterEach(() => server.stop());
afterAll(removeFolders);

const signal = new AbortController().signal;
const error = (code: string) => expect.objectContaining({ code });

describe("enrolment", () => {
  it("gives a client its own certificate, pins the server, and spends the invite", async () => {
    const invite = await inviteOf(server);
    expect(invite).toBe(server.ready.invite);
    const home = await enrolClient(invite);
    const [remote] = await createRemoteActions({ home }).list();
    expect(remote).toMatchObject({
      name: "box",
      type: "pb",
      address: server.address,
      fingerprint: server.ready.fingerprint,
      readOnly: false,
      path: "/",
    });
    const days = (Date.parse(remote?.expiresAt ?? "") - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(364);
    expect(days).toBeLessThan(366);

    await using connection = await connectRemote(openRemotes(home), "box");
    const info = await createClient(AdminService, connection.transport).info({});
    expect(info.clientId).toBe(remote?.clientId);
    expect(Number(info.timeNs / 1_000_000n)).toBeGreaterThan(Date.now() - 10_000);

    const [client] = await server.actions.clients(server.state);
    expect(client).toMatchObject({ id: remote?.clientId, revoked: false, expiresAt: remote?.expiresAt });
    await expect(readFile(join(server.state, "invite"))).rejects.toThrow();
    await expect(enrolClient(invite)).rejects.toThrow(error("token_used"));
  });

  it("refuses a token that was never given", async () => {
    const wrong = encodeInvite({ ...decodeInvite(await inviteOf(server)), token: newToken() });
    await expect(enrolClient(wrong)).rejects.toThrow(error("token_invalid"));
    expect(await server.actions.clients(server.state)).toEqual([]);
  });

  it("refuses an invite that has ended", async () => {
    const invite = await moreInvite(server, { expiresSeconds: 0.2 });
    await new Promise((resolve) => setTimeout(resolve, 250));
    await expect(enrolClient(invite)).rejects.toThrow(error("token_expired"));
  });

  it.each([1, 3])("gives an invite of %i uses to as many of 6 clients that come at once", async (uses) => {
    const invite = await moreInvite(server, { uses });
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => enrolClient(invite)));
    const won = results.filter((result) => result.status === "fulfilled");
    const lost = results.flatMap((result) => (result.status === "rejected" ? [result.reason.code] : []));
    expect(won).toHaveLength(uses);
    expect(lost).toEqual(Array.from({ length: 6 - uses }, () => "token_used"));
    expect(await server.actions.clients(server.state)).toHaveLength(uses);
  });

  it("sends nothing to a server with another authority", async () => {
    const other = await startServer();
    try {
      const invite = decodeInvite(await inviteOf(server));
      const wrong = encodeInvite({ ...invite, addresses: [other.address] });
      await expect(enrolClient(wrong)).rejects.toThrow(error("fingerprint_mismatch"));
      // The right server at the second address is found.
      const both = encodeInvite({ ...invite, addresses: [other.address, server.address] });
      await enrolClient(both);
    } finally {
      await other.stop();
    }
  });

  it("keeps a name that is taken, without spending the invite", async () => {
    const home = await enrolClient(await inviteOf(server));
    const invite = await moreInvite(server);
    const remotes = createRemoteActions({ home });
    await expect(remotes.add("box", invite, { replace: false, signal })).rejects.toThrow(error("exists"));
    const [before] = await remotes.list();
    const after = await remotes.add("box", invite, { replace: true, signal });
    expect(after.clientId).not.toBe(before?.clientId);
    expect(await remotes.list()).toHaveLength(1);
  });

  it("leaves nothing on either side that others may read", async () => {
    const home = await enrolClient(await inviteOf(server));
    await moreInvite(server);
    for (const folder of [home, server.state]) {
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        const { mode } = await stat(join(entry.parentPath, entry.name));
        expect([entry.name, mode & 0o777]).toEqual([entry.name, entry.isDirectory() ? 0o700 : 0o600]);
      }
    }
  });

  it("limits how often one address may try", async () => {
    const home = join(await testFolder(), "home");
    const wrong = encodeInvite({ ...decodeInvite(await inviteOf(server)), token: newToken() });
    const codes = new Set<string>();
    for (let at = 0; at < 15; at += 1) {
      const failed = await createRemoteActions({ home })
        .add("box", wrong, { replace: false, signal })
        .catch((reason) => reason);
      codes.add(failed.code);
    }
    expect(codes).toEqual(new Set(["token_invalid", "resource_exhausted"]));
  });

  it("forgets a remote and its key", async () => {
    const home = await enrolClient(await inviteOf(server));
    const remotes = createRemoteActions({ home });
    await remotes.remove("box");
    expect(await remotes.list()).toEqual([]);
    expect(await readdir(join(home, "remotes"))).toEqual([]);
    await expect(remotes.remove("box")).rejects.toThrow(error("unknown_remote"));
  });

  it("names the file when the list of remotes is damaged", async () => {
    const home = await enrolClient(await inviteOf(server));
    await writeFile(join(home, "remotes.toml"), "[box\n", { mode: 0o600 });
    const failed = createRemoteActions({ home }).list();
    await expect(failed).rejects.toThrow(expect.objectContaining({ path: join(home, "remotes.toml") }));
  });
});
