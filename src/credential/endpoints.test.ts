import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Secret } from "../model/endpoint.ts";
import { checkSettings, openEndpointRemotes } from "./endpoint-remotes.ts";
import { openEndpoints } from "./endpoints.ts";
import type { Credential } from "./vault/credential.ts";
import { openVault, type Vault } from "./vault/vault.ts";

let folder: string;
let vault: Vault;
const made: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pb-endpoints-"));
  made.push(folder);
  vault = openVault({ folder });
});
afterAll(async () => {
  for (const each of made) await rm(each, { recursive: true, force: true });
});

const error = (code: string) => expect.objectContaining({ code });
const configs = () => openEndpoints({ folder, vault });
const remotes = () => openEndpointRemotes(folder);

function keep(name: string, password: string, rest: Partial<Credential> = {}): Promise<unknown> {
  const secrets = new Map([["password", new Secret(password)]]);
  return vault.change((all) => all.set(name, { name, kind: "password", createdAt: "", secrets, ...rest }));
}

async function seen(wanted: string) {
  const { kind, settings, secret } = await configs().get(wanted);
  return { kind, settings, password: (await secret("password"))?.reveal() };
}

describe("a configuration", () => {
  it("of a remote has its settings, and its secrets as they are when asked for", async () => {
    await remotes().put({ name: "nas", kind: "sftp", settings: { host: "h", port: 22 } }, { replace: false });
    const config = await configs().get("nas");
    expect(config).toMatchObject({ kind: "sftp", settings: { host: "h", port: 22 } });
    expect(await config.secret("password")).toBeUndefined();
    await keep("nas", "one");
    expect((await config.secret("password"))?.reveal()).toBe("one");
    await keep("nas", "two");
    expect((await config.secret("password"))?.reveal()).toBe("two");
    await vault.change((all) => all.delete("nas"));
    await expect(config.secret("password")).rejects.toThrow(error("unauthenticated"));
  });

  it("uses another's credentials where the remote says so", async () => {
    await keep("shared", "s");
    const remote = { name: "a", kind: "ftp", settings: { host: "h" }, credential: "shared" } as const;
    await remotes().put(remote, { replace: false });
    expect(await seen("a")).toMatchObject({ password: "s" });
  });

  it("of a URL is that of the remote at the same place, and of no other", async () => {
    await keep("dav", "d");
    const settings = { url: "https://h:8443/base", user: "me" };
    await remotes().put({ name: "dav", kind: "webdav", settings }, { replace: false });
    expect(await seen("davs://h:8443")).toMatchObject({ password: "d", settings: { user: "me" } });
    expect(await seen("davs://me@h:8443")).toMatchObject({ password: "d" });
    const others = ["dav://h:8443", "davs://h", "davs://you@h:8443", "davs://h.evil:8443", "https://h:8443"];
    for (const other of others) expect(await seen(other)).toMatchObject({ password: undefined });
  });

  it("of a URL gets what is bound to its host and user, never in clear", async () => {
    await keep("netrc", "n", { host: "h.example", user: "me" });
    expect(await seen("https://me@h.example")).toMatchObject({ password: "n" });
    expect(await seen("sftp://me@H.example:2222")).toMatchObject({ password: "n" });
    const others = [
      "https://you@h.example",
      "https://h.example",
      "https://me@h.example.evil",
      "http://me@h.example",
      "ftp://h.example",
    ];
    for (const other of others) expect(await seen(other)).toMatchObject({ password: undefined });
  });

  it("is unknown for a name that nobody gave; s3 stands for this machine's own keys", async () => {
    await expect(configs().get("nobody")).rejects.toThrow(error("unknown_remote"));
    expect(await seen("s3")).toEqual({ kind: "s3", settings: {}, password: undefined });
  });
});

describe("remotes of other kinds", () => {
  it("are kept, renamed and removed beside each other", async () => {
    const store = remotes();
    await store.put({ name: "a", kind: "ftp", settings: { host: "h", tls: "off" } }, { replace: false });
    await store.put({ name: "b", kind: "local", settings: { path: "/x" } }, { replace: false });
    await expect(
      store.put({ name: "b", kind: "local", settings: { path: "/y" } }, { replace: false }),
    ).rejects.toThrow(error("exists"));
    await expect(store.rename("a", "b")).rejects.toThrow(error("exists"));
    await store.rename("a", "c");
    expect((await store.list()).map(({ name }) => name)).toEqual(["b", "c"]);
    await store.remove("b");
    await expect(store.remove("b")).rejects.toThrow(error("unknown_remote"));
  });

  it.each([
    ["sftp", {}],
    ["sftp", { host: "h", port: "22" }],
    ["sftp", { host: "h", password: "hunter2" }],
    ["ftp", { host: "h", tls: "maybe" }],
    ["s3", { path_style: "yes" }],
    ["local", { path: "/x", colour: "red" }],
  ] as const)("of kind %s are not kept with %j", (kind, settings) => {
    const refused = expect.objectContaining({
      code: "usage",
      message: expect.not.stringContaining("hunter2"),
    });
    expect(() => checkSettings(kind, settings)).toThrow(refused);
  });
});
