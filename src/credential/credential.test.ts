import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { formatAddress, parseAddress } from "./address.ts";
import { expiresAt, fingerprintOf, parseCertificate, verifyLeaf } from "./certificate.ts";
import { createFile, ensurePrivateFolder, readSecret, replaceFile } from "./files.ts";
import { pbHome } from "./home.ts";
import { decodeInvite, encodeInvite, newToken } from "./invite.ts";
import { withLock } from "./lock.ts";
import { openRemotes, type Remote, type RemoteKeys } from "./remotes.ts";
import { openServerState } from "./server-state.ts";
import { CLIENT_AUTH, createAuthority, createRequest, issue, SERVER_AUTH } from "./x509.ts";

let folder: string;
const made: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pb-credential-"));
  made.push(folder);
});
afterAll(async () => {
  for (const each of made) await rm(each, { recursive: true, force: true });
});

const error = (code: string) => expect.objectContaining({ code });

describe("an invite", () => {
  const anyInvite = fc.record({
    addresses: fc.array(fc.constantFrom("a:1", "box.example:7373", "[2001:db8::1]:65535", "10.0.0.1:80"), {
      minLength: 1,
      maxLength: 16,
    }),
    fingerprint: fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => Buffer.from(bytes).toString("hex")),
    token: fc.constant("").map(newToken),
  });

  it("survives the way through a line of text, with space around it", () => {
    fc.assert(
      fc.property(anyInvite, (invite) => {
        const line = encodeInvite(invite);
        expect(line).toMatch(/^pb1:[A-Za-z0-9_-]+$/);
        expect(decodeInvite(` ${line}\n`)).toEqual(invite);
      }),
    );
  });

  it("is refused with any character changed or cut off", () => {
    const line = encodeInvite({ addresses: ["a:1"], fingerprint: "ab".repeat(32), token: newToken() });
    for (let at = 0; at < line.length; at += 1) {
      expect(() => decodeInvite(line.slice(0, at))).toThrow(error("token_invalid"));
      const other = line[at] === "A" ? "B" : "A";
      const changed = line.slice(0, at) + other + line.slice(at + 1);
      // The last character of base64 has bits that mean nothing.
      if (Buffer.from(changed.slice(4), "base64url").equals(Buffer.from(line.slice(4), "base64url")))
        continue;
      expect(() => decodeInvite(changed)).toThrow(error("token_invalid"));
    }
  });

  it.each([[[]], [["nowhere"]], [["a:1 "]], [["a:b"]], [["::1:5"]]])("holds no addresses %j", (addresses) => {
    const invite = { addresses, fingerprint: "ab".repeat(32), token: newToken() };
    expect(() => encodeInvite(invite)).toThrow(error("invalid_argument"));
  });
});

describe("certificates", () => {
  it("hold to the one authority, the use and the time", async () => {
    const ca = await createAuthority();
    const authority = parseCertificate(ca.certificate);
    const { csr } = await createRequest();
    const leaf = await issue({ ca, csr, commonName: "x", uri: "urn:x", usage: CLIENT_AUTH, days: 10 });
    const certificate = parseCertificate(leaf);
    verifyLeaf({ certificate, authority, usage: CLIENT_AUTH });
    const other = parseCertificate((await createAuthority()).certificate);
    expect(() => verifyLeaf({ certificate, authority: other, usage: CLIENT_AUTH })).toThrow(
      error("unauthenticated"),
    );
    expect(() => verifyLeaf({ certificate, authority, usage: SERVER_AUTH })).toThrow(
      error("unauthenticated"),
    );
    expect(() => verifyLeaf({ certificate: authority, authority, usage: CLIENT_AUTH })).toThrow(
      error("unauthenticated"),
    );
    for (const days of [-1, 11]) {
      const now = new Date(Date.now() + days * 86_400_000);
      expect(() => verifyLeaf({ certificate, authority, usage: CLIENT_AUTH, now })).toThrow(
        error("certificate_expired"),
      );
    }
  });

  it("are not issued for requests that are damaged or not signed by their own key", async () => {
    const ca = await createAuthority();
    const { csr } = await createRequest();
    const der = Buffer.from(csr.replace(/-----[A-Z ]+-----/g, ""), "base64");
    der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    for (const bad of ["", "x", forged, ca.certificate, csr + "x".repeat(10_000)]) {
      const issued = issue({ ca, csr: bad, commonName: "x", uri: "urn:x", usage: CLIENT_AUTH, days: 1 });
      await expect(issued).rejects.toThrow(error("invalid_argument"));
    }
  });
});

describe("a server's state", () => {
  it("is made once, for its owner alone, and read again the same", async () => {
    const state = join(folder, "state");
    const [first, same] = await Promise.all([openServerState(state), openServerState(state)]);
    expect([first.isNew, same.isNew].sort()).toEqual([false, true]);
    expect(same.fingerprint).toBe(first.fingerprint);
    const again = await openServerState(state);
    expect(again).toMatchObject({ isNew: false, fingerprint: first.fingerprint });
    expect((await stat(state)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(state)) {
      expect([name, (await stat(join(state, name))).mode & 0o777]).toEqual([name, 0o600]);
    }
  });

  it("renews the server's certificate near its end, from the same authority", async () => {
    const state = join(folder, "state");
    const first = await openServerState(state);
    const later = new Date(Date.now() + 320 * 86_400_000);
    const second = await openServerState(state, later);
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(second.server.certificate).not.toBe(first.server.certificate);
    expect(expiresAt(parseCertificate(second.server.certificate)).getTime()).toBeGreaterThan(later.getTime());
    expect((await openServerState(state, later)).server).toEqual(second.server);
  });

  it("replaces a server's key that is damaged, and never an authority", async () => {
    const state = join(folder, "state");
    const first = await openServerState(state);
    await writeFile(join(state, "server.key"), "x");
    const second = await openServerState(state);
    expect(fingerprintOf(parseCertificate(second.ca.certificate))).toBe(first.fingerprint);
    await writeFile(join(state, "ca.key"), "x");
    await expect(openServerState(state)).rejects.toThrow(error("invalid_argument"));
    expect(await readFile(join(state, "ca.key"), "utf8")).toBe("x");
  });
});

describe("private files", () => {
  it("are created once and replaced whole", async () => {
    const file = join(folder, "f");
    const results = await Promise.all([createFile(file, "1"), createFile(file, "2"), createFile(file, "3")]);
    expect(results.filter((won) => won)).toHaveLength(1);
    await replaceFile(file, "new");
    expect(await readSecret(file)).toBe("new");
    expect(await readdir(folder)).toEqual(["f"]);
  });

  it("are refused when others may read them, or write beside them", async () => {
    const file = join(folder, "f");
    await writeFile(file, "secret");
    await chmod(file, 0o640);
    await expect(readSecret(file)).rejects.toThrow(
      expect.objectContaining({ code: "permission_denied", path: file }),
    );
    await mkdir(join(folder, "d"));
    await chmod(join(folder, "d"), 0o777);
    await expect(ensurePrivateFolder(join(folder, "d"))).rejects.toThrow(error("permission_denied"));
  });

  it("are edited by one process at a time, also after one has died", async () => {
    const lock = join(folder, "lock");
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 5 }, () => withLock(lock, work)));
    expect(most).toBe(1);
    await writeFile(lock, "1");
    const { utimes } = await import("node:fs/promises");
    await utimes(lock, 1, 1);
    await withLock(lock, work);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("the list of remotes", () => {
  const remote: Remote = {
    name: "constructor",
    addresses: ["a:1", "[::1]:2"],
    fingerprint: "ab".repeat(32),
    clientId: "a".repeat(16),
    readOnly: true,
    path: "/ü",
  };
  let keys: RemoteKeys;
  beforeEach(async () => {
    const { certificate, key } = await createAuthority();
    keys = { key: key.trim(), certificate: certificate.trim(), ca: certificate.trim() };
  });

  it("keeps what it is given, by name and by address", async () => {
    const home = join(folder, "home");
    await openRemotes(home).put(remote, keys, { replace: false });
    const store = openRemotes(home);
    expect(await store.get("constructor")).toEqual(remote);
    expect(await store.get("[::1]:2")).toEqual(remote);
    expect(await store.keys(remote)).toEqual(keys);
    await expect(store.put(remote, keys, { replace: false })).rejects.toThrow(error("exists"));
    await expect(store.get("toString")).rejects.toThrow(error("unknown_remote"));
  });

  it("loses none of several that are added at once", async () => {
    const names = Array.from({ length: 8 }, (_, at) => `r${at}`);
    await Promise.all(
      names.map((name) => openRemotes(folder).put({ ...remote, name }, keys, { replace: false })),
    );
    expect((await openRemotes(folder).list()).map(({ name }) => name)).toEqual(names);
  });

  it.each(["../x", "", "-a", "a/b", "__proto__", "a".repeat(65)])("takes no name %j", async (name) => {
    const put = openRemotes(folder).put({ ...remote, name }, keys, { replace: false });
    await expect(put).rejects.toThrow(error("usage"));
    expect(await readdir(folder)).toEqual([]);
  });

  it("refuses a table that is not whole", async () => {
    await writeFile(join(folder, "remotes.toml"), '["a"]\ntype = "pb"\n', { mode: 0o600 });
    await expect(openRemotes(folder).list()).rejects.toThrow(error("invalid_argument"));
  });
});

describe("addresses and folders", () => {
  it("are read and written", () => {
    expect(parseAddress("[::1]:5")).toEqual({ host: "::1", port: 5 });
    expect(parseAddress("box", 7)).toEqual({ host: "box", port: 7 });
    expect(formatAddress({ host: "::1", port: 5 })).toBe("[::1]:5");
    for (const bad of ["", "a", "a:", "a:70000", "a:b", "::1:5"]) {
      expect(() => parseAddress(bad)).toThrow(error("invalid_argument"));
    }
  });

  it("come from PB_HOME, which is absolute", () => {
    expect(pbHome({ PB_HOME: "/x" })).toBe("/x");
    expect(pbHome({})).toMatch(/packetboat$/);
    expect(() => pbHome({ PB_HOME: "x" })).toThrow(error("usage"));
  });
});
