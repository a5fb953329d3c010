import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openEndpointRemotes } from "../credential/endpoint-remotes.ts";
import { openRemotes } from "../credential/remotes.ts";
import { passphraseSource } from "../credential/vault/passphrase.ts";
import { openVault } from "../credential/vault/vault.ts";
import { Secret } from "../model/endpoint.ts";
import { createCredentialActions } from "./credentials.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pb-credentials-"));
  await chmod(folder, 0o700);
});
afterAll(() => rm(folder, { recursive: true }));

function actionsIn(name: string) {
  const home = join(folder, name);
  const passphrase = passphraseSource({ env: {} });
  const actions = createCredentialActions({
    folder: home,
    vault: openVault({ folder: home }),
    passphrase,
    env: {},
  });
  return { home, actions };
}

it("an export has endpoints and their secrets, and names the servers that it leaves out", async () => {
  const { home, actions } = actionsIn("from");
  const box = {
    name: "box",
    addresses: ["h:1"],
    fingerprint: "ab".repeat(32),
    clientId: "",
    readOnly: false,
    path: "/",
  };
  const nas = { name: "nas", kind: "sftp", settings: { host: "h" } } as const;
  await openRemotes(home).put(
    { ...box, byToken: true },
    { key: "", certificate: "", ca: "x" },
    { replace: false },
  );
  await openEndpointRemotes(home).put(nas, { replace: false });
  await actions.add("nas", { secrets: new Map([["password", new Secret("p")]]) }, { replace: false });
  const phrase = new Secret("phrase");
  const { sealed, leftOut } = await actions.export(phrase);
  expect(leftOut).toEqual(["box"]);
  const there = actionsIn("to").actions;
  const report = await there.import({ source: "pb", text: sealed, passphrase: phrase, replace: false });
  expect(report).toEqual({ remotes: ["nas"], credentials: ["nas"], skipped: [] });
  expect((await there.show("nas")).values.get("password")?.reveal()).toBe("p");
});

it("half of an S3 key is not left alone", async () => {
  const { actions } = actionsIn("halves");
  const map = (given: Readonly<Record<string, string>>) =>
    new Map(Object.entries(given).map(([key, value]) => [key, new Secret(value)]));
  const whole = map({ access_key_id: "a", secret_access_key: "s", session_token: "t" });
  await actions.add("key", { secrets: whole }, { replace: false });
  const secretOnly = { secrets: map({ secret_access_key: "s2" }) };
  await expect(actions.edit("key", secretOnly, { rotate: true })).rejects.toMatchObject({
    code: "usage",
    hint: expect.stringContaining("pb credentials edit key"),
  });
  const dropping = { secrets: new Map(), drop: ["access_key_id"] };
  await expect(actions.edit("key", dropping, { rotate: false })).rejects.toMatchObject({ code: "usage" });
  const values = async () =>
    [...(await actions.show("key")).values].map(([name, each]) => [name, each.reveal()]);
  expect(Object.fromEntries(await values())).toEqual({
    access_key_id: "a",
    secret_access_key: "s",
    session_token: "t",
  });
  await actions.edit("key", secretOnly, { rotate: false });
  await actions.edit(
    "key",
    { secrets: map({ access_key_id: "b", secret_access_key: "c" }) },
    { rotate: true },
  );
  expect(Object.fromEntries(await values())).toEqual({ access_key_id: "b", secret_access_key: "c" });
});
