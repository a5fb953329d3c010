import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, it } from "vitest";
import { Secret } from "../model/endpoint.ts";
import type { PbError } from "../model/error.ts";
import type { Credential } from "./vault/credential.ts";
import { openVault, type Vault } from "./vault/vault.ts";
import { type WatchedSecrets, watchedSecrets } from "./watched-secrets.ts";

const folders: string[] = [];
let vault: Vault;
let watched: WatchedSecrets;
let told: string[];
let unwatch: () => void;

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), "pb-watched-"));
  folders.push(folder);
  vault = openVault({ folder });
  watched = watchedSecrets(() => vault.get("nas"));
  const said: string[] = [];
  told = said;
  unwatch = watched.watch({
    rotated: () => said.push("rotated"),
    withdrawn: ({ code, message }: PbError) => said.push(`${code}: ${message}`),
  });
});
afterEach(() => unwatch());
afterAll(async () => {
  for (const each of folders) await rm(each, { recursive: true, force: true });
});

/** As another process changes it. */
function keep(secrets: Record<string, string>, name = "nas"): Promise<unknown> {
  const all = new Map(Object.entries(secrets).map(([key, text]) => [key, new Secret(text)]));
  return openVault({ folder: vault.folder }).change((those) =>
    those.set(name, { name, kind: "password", createdAt: "", secrets: all }),
  );
}

const remove = () => openVault({ folder: vault.folder }).change((all) => all.delete("nas"));
const revealed = async (name: string) => (await watched.secret(name))?.reveal();
const GONE =
  "unauthenticated: the credential nas was removed while it was in use (pb credentials add nas gives it again)";

it("tells of another secret within a second, and of nothing else", async () => {
  await keep({ password: "one", passphrase: "p" });
  expect(await revealed("password")).toBe("one");
  await keep({ password: "one", passphrase: "q" });
  await keep({ password: "other" }, "other");
  await keep({ password: "two", passphrase: "q" });
  await expect.poll(() => told, { timeout: 1_000 }).toEqual(["rotated"]);
  expect(await revealed("password")).toBe("two");
  await keep({ password: "three" });
  unwatch();
  // Who asks before the next look has it at once.
  expect(await revealed("password")).toBe("three");
  expect(told).toEqual(["rotated"]);
});

it("tells that it was removed, once, and is that error until it is there again", async () => {
  await keep({ password: "one" });
  await revealed("password");
  await remove();
  await expect.poll(() => told, { timeout: 1_000 }).toEqual([GONE]);
  await expect(watched.secret("password")).rejects.toThrow("nas was removed");
  await expect(watched.secret("token")).rejects.toMatchObject({
    code: "unauthenticated",
    retryable: false,
  });
  const late: string[] = [];
  watched.watch({ withdrawn: ({ message }) => late.push(message) })();
  expect([told, late.length]).toEqual([[GONE], 1]);
  await keep({ token: "new" });
  expect(await revealed("token")).toBe("new");
  expect(told).toEqual([GONE, "rotated"]);
});

it("misses nothing that nobody has asked for", async () => {
  await keep({ password: "one" });
  expect(await watched.secret("token")).toBeUndefined();
  await remove();
  expect(await watched.secret("password")).toBeUndefined();
  expect(told).toEqual([]);
});

it("believes the later of two looks, whichever is answered first", async () => {
  const secrets = (text: string): Credential => ({
    name: "nas",
    kind: "password",
    createdAt: "",
    secrets: new Map([["password", new Secret(text)]]),
  });
  const asked: ((found: Credential | undefined) => void)[] = [];
  const slow = watchedSecrets(() => new Promise((resolve) => asked.push(resolve)));
  const heard: string[] = [];
  const stop = slow.watch({ rotated: () => heard.push("rotated"), withdrawn: () => heard.push("gone") });
  const first = slow.secret("password");
  asked.shift()?.(secrets("one"));
  expect((await first)?.reveal()).toBe("one");
  const [early, late] = [slow.secret("password"), slow.secret("password")];
  const [answerEarly, answerLate] = asked.splice(0);
  answerLate?.(secrets("two"));
  expect((await late)?.reveal()).toBe("two");
  // It was away for a moment.
  answerEarly?.(undefined);
  await expect.poll(() => asked.length).toBe(1);
  asked.shift()?.(secrets("two"));
  expect((await early)?.reveal()).toBe("two");
  stop();
  expect(heard).toEqual(["rotated"]);
});
