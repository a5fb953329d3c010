import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Secret } from "../../model/endpoint.ts";
import { unseal } from "./age.ts";
import { type Credential, kindOf, parseCredentials } from "./credential.ts";
import { exportStore, importStore } from "./export.ts";
import { passphraseSource } from "./passphrase.ts";
import { openVault, type Vault } from "./vault.ts";

let folder: string;
const made: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pb-vault-"));
  made.push(folder);
});
afterAll(async () => {
  for (const each of made) await rm(each, { recursive: true, force: true });
});

const error = (code: string) => expect.objectContaining({ code });
/** The least that scrypt takes here; what is tested is not its cost. */
const scryptLogN = 4;

function vault(env: NodeJS.ProcessEnv = {}, warn?: (text: string) => void): Vault {
  return openVault({ folder, scryptLogN, passphrase: passphraseSource({ env }), ...(warn && { warn }) });
}

function credential(name: string, password = "hunter2"): Credential {
  const secrets = new Map([["password", new Secret(password)]]);
  return { name, kind: "password", createdAt: "2026-01-01T00:00:00.000Z", secrets };
}

const put = (store: Vault, ...all: Credential[]) =>
  store.change((present) => {
    for (const each of all) present.set(each.name, each);
  });
const passwordOf = async (store: Vault, name: string) =>
  (await store.get(name))?.secrets.get("password")?.reveal();

describe("the store", () => {
  it("keeps secrets sealed, for its owner alone, and any process reads them", async () => {
    expect(await vault().list()).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
    await put(vault(), credential("box"), credential("a", "line\nbreak \"'\\ ü"));
    expect((await vault().list()).map(({ name }) => name)).toEqual(["a", "box"]);
    expect(await passwordOf(vault(), "a")).toBe("line\nbreak \"'\\ ü");
    for (const name of await readdir(folder)) {
      expect([name, (await stat(join(folder, name))).mode & 0o777]).toEqual([name, 0o600]);
      expect(await readFile(join(folder, name), "utf8")).not.toContain("hunter2");
    }
    expect((await readdir(folder)).sort()).toEqual(["credentials.age", "identity"]);
    expect(inspect(await vault().list(), { depth: 9 })).not.toContain("hunter2");
  });

  it("is a file of age that the identity beside it opens", async () => {
    await put(vault(), credential("box"));
    const identity = /AGE-SECRET-KEY-\S+/.exec(await readFile(join(folder, "identity"), "utf8"))?.[0] ?? "";
    const sealed = await readFile(join(folder, "credentials.age"), "utf8");
    expect(await unseal(sealed, identity, "x")).toContain('password = "hunter2"');
  });

  it("is sealed and opened without Node's HTTP client, whose loading costs more than both", async () => {
    vi.stubGlobal("Response", undefined);
    try {
      await put(vault(), credential("box"));
      expect(await passwordOf(vault(), "box")).toBe("hunter2");
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it("shows at once what another process has changed, and loses nothing of several edits", async () => {
    const reader = vault();
    await put(vault(), credential("box", "one"));
    expect(await passwordOf(reader, "box")).toBe("one");
    await put(vault(), credential("box", "two"));
    expect(await passwordOf(reader, "box")).toBe("two");
    await Promise.all(Array.from({ length: 6 }, (_, at) => put(vault(), credential(`c${at}`))));
    expect(await reader.list()).toHaveLength(7);
  });

  it("stays as it was when an edit is refused", async () => {
    await put(vault(), credential("box"));
    const edit = vault().change((all) => {
      all.clear();
      throw new RangeError("no");
    });
    await expect(edit).rejects.toThrow(RangeError);
    expect(await vault().list()).toHaveLength(1);
  });

  it.each(["identity", "credentials.age"])("is refused when others may read %s", async (name) => {
    await put(vault(), credential("box"));
    await chmod(join(folder, name), 0o640);
    await expect(vault().list()).rejects.toThrow(
      expect.objectContaining({ code: "permission_denied", path: join(folder, name) }),
    );
  });

  it("says which file is damaged, and nothing of what is in it", async () => {
    await put(vault(), credential("box"));
    const file = join(folder, "credentials.age");
    const text = await readFile(file, "utf8");
    await writeFile(
      file,
      text.replace(/\S(?=\S{3}\n-----END)/, (c) => (c === "A" ? "B" : "A")),
    );
    await expect(vault().list()).rejects.toThrow(
      expect.objectContaining({ code: "unauthenticated", path: file }),
    );
    const broken = '[box]\nkind = "password"\n[box.secrets]\npassword = "hunter2';
    const caught = (() => {
      try {
        return parseCredentials(broken, "f");
      } catch (cause) {
        return cause;
      }
    })();
    expect(inspect(caught, { depth: 9 })).toContain("not valid TOML");
    expect(inspect(caught, { depth: 9 })).not.toContain("hunter2");
  });
});

describe("a passphrase", () => {
  it("locks the identity and opens it again; without it nothing is read", async () => {
    await put(vault(), credential("box"));
    await vault().lock("correct horse");
    expect(await vault().state()).toMatchObject({ form: "sealed", locked: true });
    await expect(vault().list()).rejects.toThrow(error("unauthenticated"));
    await expect(vault({ PB_CONFIG_PASS: "wrong" }).list()).rejects.toThrow(error("unauthenticated"));
    const right = () => vault({ PB_CONFIG_PASS: "correct horse" });
    expect(await passwordOf(right(), "box")).toBe("hunter2");
    await put(right(), credential("more"));
    await right().unlock({ plain: false });
    expect(await vault().list()).toHaveLength(2);
  });

  it("takes effect on a store that is open", async () => {
    const open = vault();
    await put(open, credential("box"));
    await vault().lock("x");
    await expect(open.list()).rejects.toThrow(error("unauthenticated"));
  });

  it("is taken out of the environment, so that no child gets it", () => {
    const env = { PB_CONFIG_PASS: "x", OTHER: "y" };
    expect(passphraseSource({ env }).known()).toBe("x");
    expect(env).toEqual({ OTHER: "y" });
  });

  it("comes from a command's first line, which is run once and has no passphrase in its environment", async () => {
    const count = join(folder, "count");
    const command = `echo x >> '${count}'; echo "first $PB_CONFIG_PASS"; echo second`;
    const source = passphraseSource({ env: { PATH: process.env.PATH ?? "" }, command });
    expect([await source.get("f"), await source.get("f")]).toEqual(["first ", "first "]);
    expect(await readFile(count, "utf8")).toBe("x\n");
    for (const bad of ["exit 3", "true", "kill -9 $$"]) {
      const failing = passphraseSource({ env: {}, command: bad }).get("f");
      await expect(failing).rejects.toThrow(error("unauthenticated"));
    }
  });
});

describe("secrets in clear", () => {
  const plain = '[box]\nkind = "password"\n[box.secrets]\npassword = "hunter2"\n';

  it("are read and written with a warning, once, and sealed by a lock", async () => {
    await writeFile(join(folder, "credentials.toml"), plain, { mode: 0o600 });
    const told: string[] = [];
    const store = vault({ PB_CONFIG_PASS: "p" }, (text) => told.push(text));
    expect(await passwordOf(store, "box")).toBe("hunter2");
    await put(store, credential("more"));
    expect(await readdir(folder)).toEqual(["credentials.toml"]);
    expect(told).toEqual([expect.stringContaining("in clear")]);
    await store.lock("p");
    expect((await readdir(folder)).sort()).toEqual(["credentials.age", "identity"]);
    expect(await store.list()).toHaveLength(2);
    await store.unlock({ plain: true });
    expect(await store.state()).toMatchObject({ form: "plain", locked: false });
    expect(await readFile(join(folder, "credentials.toml"), "utf8")).toContain("hunter2");
  });

  it("are refused when others may read them", async () => {
    await writeFile(join(folder, "credentials.toml"), plain, { mode: 0o644 });
    await chmod(join(folder, "credentials.toml"), 0o644);
    await expect(vault().list()).rejects.toThrow(error("permission_denied"));
  });
});

describe("another identity", () => {
  it("opens what there is, and the old one does not", async () => {
    await put(vault(), credential("box"));
    const old = await readFile(join(folder, "identity"), "utf8");
    await vault().rekey();
    expect(await passwordOf(vault(), "box")).toBe("hunter2");
    await writeFile(join(folder, "identity"), old);
    await expect(vault().list()).rejects.toThrow(error("unauthenticated"));
  });
});

describe("an export", () => {
  it("holds remotes and secrets, and only its passphrase opens it", async () => {
    const remotes = [{ name: "nas", kind: "sftp", settings: { host: "h", port: 22, agent: false } }] as const;
    const credentials = new Map([["nas", credential("nas")]]);
    const options = { remotes, credentials, scryptLogN };
    const sealed = await exportStore({ ...options, passphrase: new Secret("p") });
    expect(sealed).not.toContain("hunter2");
    const back = await importStore(`\n${sealed}`, new Secret("p"), "f");
    expect(back.remotes).toEqual(remotes);
    expect(back.credentials[0]?.secrets.get("password")?.reveal()).toBe("hunter2");
    await expect(importStore(sealed, new Secret("q"), "f")).rejects.toThrow(error("unauthenticated"));
  });
});

describe("the kind of a credential", () => {
  it.each([
    [["password"], "password"],
    [["private_key", "passphrase", "password"], "key_pair"],
    [["token"], "token"],
    [["secret_access_key", "access_key_id"], "s3_key"],
    [["certificate", "private_key"], "certificate"],
  ])("of %j is %s", (names, kind) => expect(kindOf(names)).toBe(kind));
  it.each([[[]], [["pasword"]]])("of %j is none", (names) => {
    expect(() => kindOf(names)).toThrow(error("usage"));
  });
});

it("makes a folder that was not there", async () => {
  await mkdir(join(folder, "a"));
  const store = openVault({ folder: join(folder, "a/b"), scryptLogN });
  await put(store, credential("box"));
  expect((await stat(join(folder, "a/b"))).mode & 0o777).toBe(0o700);
});
