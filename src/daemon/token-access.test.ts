import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  noPeer,
  removeFolders,
  startServer,
  type TestServer,
  testFolder,
} from "../../test/support/server.ts";
import { createPbBackend } from "../backend/pb/backend.ts";
import type { PbConnection } from "../backend/pb/connection.ts";
import { openRemotes } from "../credential/remotes.ts";
import { passphraseSource } from "../credential/vault/passphrase.ts";
import { openVault } from "../credential/vault/vault.ts";
import { AdminService } from "../gen/packetboat/v1/admin_pb.ts";
import { Secret } from "../model/endpoint.ts";
import { createCredentialActions } from "./credentials.ts";
import { connectRemote } from "./open-remote.ts";
import { createRemoteActions } from "./remotes.ts";

let server: TestServer;
const connections: PbConnection[] = [];
beforeEach(async () => {
  const folder = await testFolder();
  for (const name of ["data", "out", "hidden"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "data/f"), "x");
  const roots = ["data", "out", "hidden"].map((name) => `${name}=${join(folder, name)}`);
  server = await startServer({ folder, roots });
});
afterEach(async () => {
  for (const connection of connections.splice(0)) await connection.close();
  await server.stop();
});
afterAll(removeFolders);

const { signal } = new AbortController();
const error = (code: string) => expect.objectContaining({ code });

function owner() {
  const passphrase = passphraseSource({ env: {} });
  const vault = openVault({ folder: server.state });
  return createCredentialActions({ folder: server.state, vault, passphrase, env: {} });
}

async function tokenFor(scopes: readonly string[], expiresSeconds = 60) {
  return owner().issueToken({ subject: "ci", scopes, expiresSeconds });
}

/** A client that has nothing but a token, in its own store. */
async function clientWith(token: Secret) {
  const home = join(await testFolder(), "home");
  const vault = openVault({ folder: home });
  const { address, ready } = server;
  const settings = { address, fingerprint: ready.fingerprint };
  const spec = { kind: "pb", settings, secrets: new Map([["token", token]]) } as const;
  await createRemoteActions({ home, vault }).addEndpoint("box", spec, { replace: false, signal });
  const tokenOf = async (name: string) => (await vault.get(name))?.secrets.get("token");
  const connection = await connectRemote(openRemotes(home), "box", { tokenOf });
  connections.push(connection);
  return { connection, home, vault, backend: createPbBackend({ connection, peer: noPeer, writable: true }) };
}

async function names(backend: Awaited<ReturnType<typeof clientWith>>["backend"], path: string) {
  const found: string[] = [];
  for await (const { entries } of backend.list(path, { recursive: false, follow: false, signal })) {
    found.push(...entries.map((entry) => entry.path));
  }
  return found.sort();
}

describe("a client with a token", () => {
  it("sees the roots of its scopes, and writes where one says so", async () => {
    const { token } = await tokenFor(["pb:read:data", "pb:write:out"]);
    const { backend, connection } = await clientWith(token);
    expect(await names(backend, "")).toEqual(["data", "out"]);
    expect(await names(backend, "data")).toEqual(["f"]);
    await backend.mkdir("out/new", { parents: false, signal });
    await expect(backend.mkdir("data/new", { parents: false, signal })).rejects.toThrow(error("read_only"));
    await expect(backend.remove("data/f", { recursive: false, signal })).rejects.toThrow(error("read_only"));
    for (const path of ["hidden", "hidden/x"]) {
      await expect(backend.stat(path, { follow: false, signal })).rejects.toThrow(error("not_found"));
      await expect(backend.mkdir(path, { parents: true, signal })).rejects.toThrow(error("not_found"));
    }
    const { roots, readOnly } = await createClient(AdminService, connection.transport).info({});
    expect([roots, readOnly]).toEqual([["data", "out"], false]);
    // It must not become a certificate, which would outlive it.
    await expect(createClient(AdminService, connection.transport).renew({ csr: "x" })).rejects.toThrow();
  });

  it("is shut out at once by revocation, and by another key", async () => {
    const first = await tokenFor(["pb:read:*"]);
    const { backend, vault } = await clientWith(first.token);
    expect(await names(backend, "")).toHaveLength(3);
    await owner().revokeToken(first.id);
    await expect(names(backend, "")).rejects.toThrow(error("revoked"));
    const second = await tokenFor(["pb:read:*"]);
    // What is rotated in the store counts from the next call on, without a new connection.
    await vault.change((all) => {
      const secrets = new Map([["token", second.token]]);
      all.set("box", { name: "box", kind: "token", createdAt: "", secrets });
    });
    expect(await names(backend, "")).toHaveLength(3);
    await owner().rotateTokenKey();
    await expect(names(backend, "")).rejects.toThrow(error("token_invalid"));
  });

  it("is refused with an ended token, a damaged one, and another server's", async () => {
    const { token } = await tokenFor(["pb:read:*"], 1);
    const { backend } = await clientWith(token);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await expect(names(backend, "")).rejects.toThrow(error("token_expired"));
    const { backend: damaged } = await clientWith(new Secret("a.b.c"));
    await expect(names(damaged, "")).rejects.toThrow(error("token_invalid"));
    const { backend: odd } = await clientWith(new Secret("not a token"));
    await expect(names(odd, "")).rejects.toThrow(error("unauthenticated"));
  });

  it("is given no token for a root that the server does not have", async () => {
    const wrong = { code: "usage", message: expect.stringContaining("it has data, out, hidden") };
    await expect(tokenFor(["pb:read:data", "pb:write:uot"])).rejects.toMatchObject(wrong);
    await expect(tokenFor(["pb:read:/"])).rejects.toMatchObject(wrong);
    await expect(tokenFor(["pb:read:*"])).resolves.toMatchObject({ subject: "ci" });
    // Of a server that wrote none, or has not run: nothing is known.
    const file = join(server.state, "bound.json");
    const { roots: _, ...older } = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
    await writeFile(file, JSON.stringify(older));
    await expect(tokenFor(["pb:write:uot"])).resolves.toMatchObject({ subject: "ci" });
    await rm(file);
    await expect(tokenFor(["pb:write:uot"])).resolves.toMatchObject({ subject: "ci" });
  });

  it("is listed with what its token says of itself, where the store is open", async () => {
    const listed = async ({ home, vault }: Awaited<ReturnType<typeof clientWith>>) =>
      (await createRemoteActions({ home, vault }).list())[0];
    const reader = await tokenFor(["pb:read:data"]);
    const client = await clientWith(reader.token);
    const says = { byToken: true, readOnly: true, scopes: ["pb:read:data"], expiresAt: reader.expiresAt };
    expect(await listed(client)).toMatchObject(says);
    const writer = await clientWith((await tokenFor(["pb:read:data", "pb:write:out"])).token);
    expect(await listed(writer)).toMatchObject({ readOnly: false });
    expect(await listed(await clientWith(new Secret("opaque")))).not.toHaveProperty("scopes");
    await client.vault.lock("phrase");
    expect(await listed({ ...client, vault: openVault({ folder: client.home }) })).not.toHaveProperty(
      "scopes",
    );
  });

  it("needs the fingerprint of the server, and a token", async () => {
    const home = join(await testFolder(), "home");
    const actions = createRemoteActions({ home, vault: openVault({ folder: home }) });
    const add = (settings: Record<string, string>, secrets = new Map([["token", new Secret("x")]])) =>
      actions.addEndpoint("box", { kind: "pb", settings, secrets }, { replace: false, signal });
    const { address, ready } = server;
    await expect(add({ address })).rejects.toThrow(error("usage"));
    await expect(add({ address, fingerprint: ready.fingerprint }, new Map())).rejects.toThrow(error("usage"));
    await expect(add({ address, fingerprint: "ab".repeat(32) })).rejects.toThrow(
      error("fingerprint_mismatch"),
    );
    expect(await actions.list()).toEqual([]);
  });
});
