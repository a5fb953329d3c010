import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { openIssuer } from "./issuer.ts";
import { parseKeys } from "./keys.ts";
import { accessOf, checkScopes, scopesIn } from "./scopes.ts";
import { issueToken, revokeToken, rotateSigningKey } from "./signing.ts";
import { isTokenGrant, openTokens, type Tokens } from "./tokens.ts";

const SERVER = "urn:packetboat:server:ab";
const AUDIENCE = "https://files.example";
const folders: string[] = [];
let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pb-jwt-"));
  folders.push(folder);
  file = join(folder, "keys.pem");
});
afterAll(async () => {
  for (const each of folders) await rm(each, { recursive: true, force: true });
});

const error = (code: string) => expect.objectContaining({ code });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");
const pem = (key: KeyObject) => key.export({ type: "spki", format: "pem" }).toString();

function tokens(now?: () => number): Tokens {
  return openTokens({
    state: folder,
    server: SERVER,
    issuers: [file],
    audiences: [AUDIENCE],
    ...(now && { now }),
  });
}

interface Claims extends JWTPayload {
  readonly scope?: unknown;
}

const GOOD: Claims = { sub: "ci", aud: AUDIENCE, scope: "openid pb:read:data pb:write:out" };

function sign(
  key: KeyObject,
  { alg, kid, ...claims }: Claims & { readonly alg: string; readonly kid?: string },
): Promise<string> {
  const jwt = new SignJWT({ exp: Math.floor(Date.now() / 1000) + 60, ...GOOD, ...claims });
  return jwt.setProtectedHeader({ alg, ...(kid !== undefined && { kid }) }).sign(key);
}

/** A token by hand, as no library makes it. */
function forged(header: object, claims: object, signature: (text: string) => string = () => ""): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part(header)}.${part({ exp: Math.floor(Date.now() / 1000) + 60, ...GOOD, ...claims })}`;
  return `${text}.${signature(text)}`;
}

/** A web server of this machine. */
async function answering(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    base: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The monotonic clock, ms, as a test says. */
function stoppedClock() {
  let nowMs = 1_000_000;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  return {
    pass(ms: number) {
      nowMs += ms;
    },
    [Symbol.dispose]: () => clock.mockRestore(),
  };
}

describe("a token", () => {
  beforeEach(() => writeFile(file, pem(rsa.publicKey) + pem(ec.publicKey) + pem(ed.publicKey)));

  it.each([
    ["RS256", rsa.privateKey],
    ["PS384", rsa.privateKey],
    ["ES256", ec.privateKey],
    ["EdDSA", ed.privateKey],
  ])("of a trusted key (%s) gives what its scopes say", async (alg, key) => {
    const caller = await tokens().admit(await sign(key, { alg }));
    expect(caller).toMatchObject({
      name: "ci",
      readOnly: false,
      roots: [
        { root: "data", write: false },
        { root: "out", write: true },
      ],
    });
    expect(caller.clientId).toMatch(/^[a-z2-7]{16}$/);
    expect(isTokenGrant(caller.grant ?? "")).toBe(true);
  });

  it("is of the same client as another for the same subject of the same issuer, and of no other", async () => {
    const all = tokens();
    const id = async (claims: Claims) =>
      (await all.admit(await sign(ed.privateKey, { alg: "EdDSA", iss: "https://i", ...claims }))).clientId;
    const first = await id({ jti: "aaaaaaaa" });
    expect(await id({ jti: "bbbbbbbb", scope: "pb:read:*" })).toBe(first);
    expect(await id({ sub: "other" })).not.toBe(first);
    expect(await id({ iss: "https://j" })).not.toBe(first);
  });

  it("without a signature is refused, however it says so", async () => {
    for (const alg of ["none", "None", "NONE", "", undefined]) {
      for (const token of [forged({ alg }, {}), forged({ alg, typ: "JWT" }, {}, () => "AAAA")]) {
        await expect(tokens().admit(token)).rejects.toThrow(error("token_invalid"));
      }
    }
    const good = await sign(ed.privateKey, { alg: "EdDSA" });
    const cut = good.slice(0, good.lastIndexOf(".") + 1);
    for (const token of [cut, `${cut}AAAA`, good.replace(/\..*\./, `.${btoa("{}")}.`), "", "x", "a.b.c"]) {
      await expect(tokens().admit(token)).rejects.toThrow(error("token_invalid"));
    }
  });

  it("signed by HMAC with a public key as the secret is refused", async () => {
    const secrets = [pem(rsa.publicKey), pem(rsa.publicKey).trim(), pem(ec.publicKey), pem(ed.publicKey)];
    const raw = rsa.publicKey.export({ type: "spki", format: "der" });
    for (const secret of [...secrets, raw]) {
      for (const [alg, hash] of [
        ["HS256", "sha256"],
        ["HS512", "sha512"],
      ] as const) {
        const sealed = (text: string) => createHmac(hash, secret).update(text).digest("base64url");
        await expect(tokens().admit(forged({ alg }, {}, sealed))).rejects.toThrow(error("token_invalid"));
      }
    }
  });

  it("is not verified by a key that it brings along, or by an algorithm that is another key's", async () => {
    const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = await exportJWK(own.publicKey);
    const jwt = new SignJWT({ exp: Math.floor(Date.now() / 1000) + 60, ...GOOD });
    const header = { alg: "ES256", jwk, jku: "https://evil.example/jwks", x5u: "https://evil.example" };
    await expect(tokens().admit(await jwt.setProtectedHeader(header).sign(own.privateKey))).rejects.toThrow(
      error("token_invalid"),
    );
    const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
    await expect(tokens().admit(await sign(p384.privateKey, { alg: "ES384" }))).rejects.toThrow(
      error("token_invalid"),
    );
  });

  it.each<[string, Claims, string]>([
    ["another audience", { aud: "https://other.example" }, "token_invalid"],
    ["no audience", { aud: [] }, "token_invalid"],
    ["an end that is past", { exp: Math.floor(Date.now() / 1000) - 1 }, "token_expired"],
    ["a beginning that is to come", { nbf: Math.floor(Date.now() / 1000) + 3600 }, "token_invalid"],
    ["nobody named", { sub: "" }, "token_invalid"],
    ["no scope of ours", { scope: "openid pb:admin:x pb:read: pb:write:../x" }, "token_invalid"],
    ["the server itself as its issuer", { iss: SERVER }, "token_invalid"],
  ])("with %s is refused", async (_what, claims, code) => {
    const token = await sign(rsa.privateKey, { alg: "RS256", ...claims });
    await expect(tokens().admit(token)).rejects.toThrow(error(code));
  });

  it.each(["exp", "sub", "aud"])("without %s is refused", async (claim) => {
    const claims = { exp: Math.floor(Date.now() / 1000) + 60, ...GOOD, [claim]: undefined };
    const token = await new SignJWT(claims).setProtectedHeader({ alg: "EdDSA" }).sign(ed.privateKey);
    await expect(tokens().admit(token)).rejects.toThrow(error("token_invalid"));
  });

  it("of one of several issuers is told what is wrong by the one that has signed it", async () => {
    const others = [file, join(folder, "other.pem")];
    await writeFile(file, pem(ed.publicKey));
    await writeFile(others[1] ?? "", pem(generateKeyPairSync("ed25519").publicKey));
    const old = await sign(ed.privateKey, { alg: "EdDSA", exp: Math.floor(Date.now() / 1000) - 60 });
    for (const issuers of [others, others.toReversed()]) {
      const all = openTokens({ state: folder, server: SERVER, issuers, audiences: [AUDIENCE] });
      await expect(all.admit(old)).rejects.toThrow(error("token_expired"));
    }
  });

  it("does not stand any more when it has ended, its key is gone, or it was revoked", async () => {
    let now = Date.now();
    const all = tokens(() => now);
    const admit = async (claims: Claims) => {
      const token = await sign(ed.privateKey, { alg: "EdDSA", ...claims });
      return { token, grant: (await all.admit(token)).grant ?? "" };
    };
    const short = await admit({ exp: Math.floor(now / 1000) + 5 });
    const named = await admit({ jti: "named-token", exp: Math.floor(now / 1000) + 600 });
    const plain = await admit({ exp: Math.floor(now / 1000) + 600 });
    const standing = () => [short, named, plain].map(({ grant }) => all.stands(grant));
    expect(standing()).toEqual([true, true, true]);
    now += 6_000;
    expect(standing()).toEqual([false, true, true]);
    await expect(all.admit(short.token)).rejects.toThrow(error("token_expired"));
    await revokeToken(folder, "named-token");
    expect(standing()).toEqual([false, false, true]);
    await expect(all.admit(named.token)).rejects.toThrow(error("revoked"));
    await writeFile(file, pem(rsa.publicKey));
    await expect(all.admit(plain.token)).rejects.toThrow(error("token_invalid"));
    expect(standing()).toEqual([false, false, false]);
    expect(all.stands("token:unknown")).toBe(false);
  });
});

describe("a server's own tokens", () => {
  const wish = { server: SERVER, subject: "ci", scopes: ["pb:write:*"], expiresSeconds: 60 };
  const own = () => openTokens({ state: folder, server: SERVER, issuers: [], audiences: [] });

  it("are accepted by it alone, and end with their key, at once", async () => {
    const { token, id } = await issueToken(folder, wish);
    const all = own();
    const { grant = "" } = await all.admit(token);
    const elsewhere = openTokens({ state: folder, server: "urn:x", issuers: [], audiences: [] });
    await expect(elsewhere.admit(token)).rejects.toThrow(error("token_invalid"));
    await rotateSigningKey(folder);
    all.stands(grant);
    await expect(all.admit(token)).rejects.toThrow(error("token_invalid"));
    expect(all.stands(grant)).toBe(false);
    const next = await issueToken(folder, wish);
    expect(next.id).not.toBe(id);
    await all.admit(next.token);
    await revokeToken(folder, next.id);
    await expect(all.admit(next.token)).rejects.toThrow(error("revoked"));
  });

  it("are refused where no key was ever made", async () => {
    const other = join(folder, "other");
    await mkdir(other, { mode: 0o700 });
    const { token } = await issueToken(other, wish);
    await expect(own().admit(token)).rejects.toThrow(error("token_invalid"));
  });

  it.each([
    [{ subject: "" }],
    [{ scopes: [] }],
    [{ scopes: ["pb:read"] }],
    [{ expiresSeconds: 0 }],
    [{ expiresSeconds: 1e9 }],
  ])("are not issued with %j", async (bad) => {
    await expect(issueToken(folder, { ...wish, ...bad })).rejects.toThrow(error("usage"));
  });
});

it("a token with which something is open is remembered, however many others come", async () => {
  await writeFile(file, pem(ed.publicKey));
  const options = { state: folder, server: SERVER, issuers: [file], audiences: [AUDIENCE] };
  const all = openTokens({ ...options, maxAccepted: 3 });
  const admit = async (sub: string) =>
    (await all.admit(await sign(ed.privateKey, { alg: "EdDSA", sub }))).grant ?? "";
  const open = await admit("open");
  const seen: boolean[] = [];
  for (const sub of ["a", "b", "c"]) {
    const other = await admit(sub);
    seen.push(all.stands(open), all.stands(other));
  }
  expect(seen).toEqual(Array(6).fill(true));
});

describe("keys", () => {
  it("may be used with the algorithms of their kind, and where they name one with that alone", async () => {
    const jwks = {
      keys: [
        { ...(await exportJWK(rsa.publicKey)), alg: "PS256", kid: "a" },
        { ...(await exportJWK(ec.publicKey)), use: "enc" },
        { kty: "AKP", alg: "ML-DSA-44", pub: "x" },
      ],
    };
    expect(parseKeys(JSON.stringify(jwks), "f")).toMatchObject([{ algorithms: ["PS256"], kid: "a" }]);
    expect(parseKeys(pem(ec.publicKey), "f")).toMatchObject([{ algorithms: ["ES256"] }]);
  });

  it("of a set count where they can be used here: an issuer may have others for others", () => {
    const jwk = (key: KeyObject) => key.export({ format: "jwk" });
    const others = [
      jwk(generateKeyPairSync("ed448").publicKey),
      jwk(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey),
      { ...jwk(rsa.publicKey), alg: "RSA-OAEP-256" },
      { kty: "EC", crv: "P-256", x: "AA" },
      null,
    ];
    const set = (keys: readonly unknown[]) => JSON.stringify({ keys });
    expect(parseKeys(set([...others, jwk(ed.publicKey)]), "f")).toHaveLength(1);
    expect(() => parseKeys(set(others), "f")).toThrow(error("invalid_argument"));
    for (const secret of [{ kty: "oct", k: "c2VjcmV0" }, jwk(ed.privateKey)])
      expect(() => parseKeys(set([secret, jwk(ed.publicKey)]), "f")).toThrow(error("invalid_argument"));
  });

  it.each([
    ["a symmetric key", JSON.stringify({ kty: "oct", k: "c2VjcmV0" })],
    ["a private key", JSON.stringify({ ...ed.privateKey.export({ format: "jwk" }) })],
    ["a private key in PEM", ed.privateKey.export({ type: "pkcs8", format: "pem" }).toString()],
    ["nothing", "{}"],
    ["a short RSA key", pem(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey)],
    [
      "a key for HMAC by its own word",
      JSON.stringify({ ...rsa.publicKey.export({ format: "jwk" }), alg: "HS256" }),
    ],
    ["a key of another curve", pem(generateKeyPairSync("x25519").publicKey)],
    ["rubbish", "rubbish"],
  ])("are refused when they are %s", (_what, text) => {
    expect(() => parseKeys(text, "f")).toThrow(
      expect.objectContaining({ code: "invalid_argument", path: "f" }),
    );
  });

  it("come from an issuer's own document, over https", async () => {
    for (const url of ["http://issuer.example", "ftp://x", "http://127.0.0.1.evil.example"]) {
      expect(() => openIssuer(url)).toThrow(error("usage"));
    }
    let keys = [{ ...ed.publicKey.export({ format: "jwk" }), kid: "1" }];
    let issuer = "";
    let said: string | undefined;
    await using server = await answering((request, response) => {
      const isJwks = request.url === "/keys";
      if (request.url === "/moved.json") response.writeHead(302, { location: "/keys" });
      response.end(said ?? JSON.stringify(isJwks ? { keys } : { issuer, jwks_uri: `${base}/keys` }));
    });
    const { base } = server;
    for (said of ["<html></html>", "null", undefined])
      await expect(openIssuer(base).keys()).rejects.toThrow(error("unauthenticated"));
    await expect(openIssuer(`${base}/moved.json`).keys()).rejects.toThrow(error("unreachable"));
    issuer = base;
    const made = openIssuer(base);
    expect(await made.keys()).toMatchObject([{ kid: "1" }]);
    keys = [];
    expect(await made.keys()).toHaveLength(1);
    const all = openTokens({ state: folder, server: SERVER, issuers: [base], audiences: [AUDIENCE] });
    keys = [{ ...createPublicKey(ed.privateKey).export({ format: "jwk" }), kid: "1" }];
    const alg = "EdDSA";
    await all.admit(await sign(ed.privateKey, { alg, iss: base }));
    for (const iss of [undefined, `${base}.evil`, "https://other"]) {
      const token = await sign(ed.privateKey, { alg, ...(iss !== undefined && { iss }) });
      await expect(all.admit(token)).rejects.toThrow(error("token_invalid"));
    }
  });

  it("of a URL are asked for again at an unknown kid, but not at each, and one that is gone ends what it signed", async () => {
    const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: "jwk" }), kid });
    let keys = [jwk(ed.publicKey, "old")];
    let asked = 0;
    await using server = await answering((_request, response) => {
      asked += 1;
      response.end(JSON.stringify({ keys }));
    });
    using clock = stoppedClock();
    const issuers = [`${server.base}/jwks`];
    const all = openTokens({ state: folder, server: SERVER, issuers, audiences: [AUDIENCE] });
    const old = await all.admit(await sign(ed.privateKey, { alg: "EdDSA", kid: "old" }));
    expect([all.stands(old.grant ?? ""), asked]).toEqual([true, 1]);
    keys = [jwk(ec.publicKey, "new")];
    const next = await sign(ec.privateKey, { alg: "ES256", kid: "new" });
    await expect(all.admit(next)).rejects.toThrow(error("token_invalid"));
    expect(asked).toBe(1);
    clock.pass(30_001);
    await all.admit(next);
    expect([all.stands(old.grant ?? ""), asked]).toEqual([false, 2]);
    const stranger = await sign(ed.privateKey, { alg: "EdDSA", kid: "stranger" });
    for (let n = 0; n < 3; n += 1) await expect(all.admit(stranger)).rejects.toThrow(error("token_invalid"));
    expect(asked).toBe(2);
  });

  it("of a URL are none when its set has become empty, and an empty one at the start is refused", async () => {
    const key = { ...ed.publicKey.export({ format: "jwk" }), kid: "1" };
    let keys: (typeof key)[] = [];
    await using server = await answering((_request, response) => {
      response.end(JSON.stringify({ keys }));
    });
    using clock = stoppedClock();
    const issuers = [`${server.base}/jwks`];
    const all = openTokens({ state: folder, server: SERVER, issuers, audiences: [AUDIENCE] });
    await expect(all.check()).rejects.toThrow(error("invalid_argument"));
    keys = [key];
    const token = await sign(ed.privateKey, { alg: "EdDSA", kid: "1" });
    const { grant = "" } = await all.admit(token);
    keys = [];
    clock.pass(300_001);
    await expect(all.admit(token)).rejects.toThrow(error("token_invalid"));
    expect(all.stands(grant)).toBe(false);
    keys = [key];
    clock.pass(300_001);
    await all.admit(token);
  });

  it("of a URL that are known serve while its server does not answer, and what it says then counts", async () => {
    const key = { ...ed.publicKey.export({ format: "jwk" }), kid: "1" };
    let answer: (() => void) | undefined;
    let isFirst = true;
    await using server = await answering((_request, response) => {
      const keys = isFirst ? [key] : [];
      answer = () => response.end(JSON.stringify({ keys }));
      if (isFirst) answer();
      isFirst = false;
    });
    using clock = stoppedClock();
    const issuers = [`${server.base}/jwks`];
    const all = openTokens({ state: folder, server: SERVER, issuers, audiences: [AUDIENCE] });
    const token = await sign(ed.privateKey, { alg: "EdDSA", kid: "1" });
    const { grant = "" } = await all.admit(token);
    clock.pass(300_001);
    // It would be given up after ten seconds.
    expect((await all.admit(token)).grant).toBe(grant);
    answer?.();
    await expect.poll(() => all.stands(grant)).toBe(false);
  });

  it("of a URL count as long as is said, and an issuer that was away is asked sooner", async () => {
    const keys = [{ ...ed.publicKey.export({ format: "jwk" }), kid: "1" }];
    let asked = 0;
    let away = false;
    await using server = await answering((_request, response) => {
      asked += 1;
      response.writeHead(away ? 503 : 200).end(JSON.stringify({ keys }));
    });
    using clock = stoppedClock();
    const issuers = [`${server.base}/jwks`];
    const onProblem = vi.fn();
    const common = { state: folder, server: SERVER, issuers, audiences: [AUDIENCE], onProblem };
    const token = () => sign(ed.privateKey, { alg: "EdDSA", kid: "1" });
    const askedAfter = async (tokens: ReturnType<typeof openTokens>, ms: number) => {
      clock.pass(ms);
      const before = asked;
      await tokens.admit(await token());
      return asked - before;
    };
    const usual = openTokens(common);
    const seldom = openTokens({ ...common, refreshSeconds: 3_600 });
    const often = openTokens({ ...common, refreshSeconds: 2 });
    for (const tokens of [usual, seldom, often]) expect(await askedAfter(tokens, 0)).toBe(1);
    expect([await askedAfter(usual, 300_000), await askedAfter(usual, 1)]).toEqual([0, 1]);
    expect(await askedAfter(seldom, 3_000_000)).toBe(0);
    away = true;
    expect([await askedAfter(seldom, 300_000), await askedAfter(seldom, 30_000)]).toEqual([1, 0]);
    expect(await askedAfter(seldom, 1)).toBe(1);
    expect(onProblem.mock.calls).toEqual([
      [issuers[0], error("unreachable")],
      [issuers[0], error("unreachable")],
    ]);
    away = false;
    expect([await askedAfter(often, 0), await askedAfter(often, 2_000)]).toEqual([1, 0]);
    expect(await askedAfter(often, 1)).toBe(1);
  });
});

describe("scopes", () => {
  it("come as a text or a list, and the most of several counts", () => {
    expect(scopesIn({ scope: "a  b" })).toEqual(["a", "b"]);
    expect(scopesIn({ scp: ["a", 1] })).toEqual(["a"]);
    expect(accessOf(["pb:write:x", "pb:read:x", "pb:read:/"])).toEqual([
      { root: "x", write: true },
      { root: "", write: false },
    ]);
    expect(() => checkScopes(["pb:read:x", "read"])).toThrow(error("usage"));
  });

  it("of others' issuers need an audience", () => {
    expect(() => openTokens({ state: folder, server: SERVER, issuers: ["f"], audiences: [] })).toThrow(
      error("usage"),
    );
  });
});
