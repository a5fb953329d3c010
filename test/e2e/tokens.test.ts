/** What a token, or a certificate, gives ends with it, in the middle of a transfer too: by time, by revocation, by its key. Exit code 4. */

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exportSPKI, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mustPass, pb } from "./harness.ts";
import { exited, PB, start } from "./lib/process.ts";
import { writeRandomFile } from "./lib/random.ts";
import { untilPartial } from "./lib/running.ts";
import { type Scratch, scratch } from "./lib/scratch.ts";
import { type Server, startServer } from "./lib/server.ts";

const AUDIENCE = "boats";
/** A minute at the limit below: none of them is done before its token ends. */
const BYTES = 64 << 20;
const SLOWLY = ["--limit", "1M", "--memory", "8M", "--json"];
/** Time enough for a busy machine to begin. */
const SHORT_S = 12;

let folder: Scratch;
let server: Server;
let keys: Awaited<ReturnType<typeof generateKeyPair>>[];

beforeAll(async () => {
  folder = scratch();
  for (const name of ["root", "owner"]) await mkdir(folder.at(name));
  await writeRandomFile(folder.at("big"), BYTES, "tokens");
  keys = [await generateKeyPair("EdDSA"), await generateKeyPair("EdDSA")];
  await trust(...keys);
  const issuer = ["--jwt-issuer", folder.at("issuer.pem"), "--jwt-audience", AUDIENCE];
  const roots = [`data=${folder.at("root")}`];
  server = await startServer({ roots, state: folder.at("state"), args: issuer });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

/** What the issuer's file holds from now on. */
async function trust(...trusted: typeof keys): Promise<void> {
  const texts = await Promise.all(trusted.map(({ publicKey }) => exportSPKI(publicKey)));
  await writeFile(folder.at("issuer.pem"), texts.join(""));
}

function signed(key: number, seconds: number): Promise<string> {
  const claims = new SignJWT({ scope: "pb:write:data" }).setProtectedHeader({ alg: "EdDSA" });
  const { privateKey } = keys[key] as (typeof keys)[number];
  const until = Math.floor(Date.now() / 1000) + seconds;
  return claims.setSubject(`ci${key}`).setAudience(AUDIENCE).setExpirationTime(until).sign(privateKey);
}

async function owner(...args: string[]) {
  const all = ["credentials", "token", "--state", folder.at("state"), "--json", ...args];
  return mustPass(all, await pb(all, { home: folder.at("owner") }));
}

interface Issued {
  readonly id: string;
  readonly token: string;
}

const issued = async () =>
  (await owner("--subject", "ci", "--scope", "pb:write:data", "--expires", "10m")).json<Issued>();

/** A client that has the token and nothing else sends, and has begun. */
async function sending(name: string, token: string) {
  const home = folder.at(`home-${name}`);
  const fingerprint = /"fingerprint":"(\w+)"/.exec(server.log())?.[1] ?? "";
  const add = ["remote", "add", "box", `pb://${server.address}`, "--set", `fingerprint=${fingerprint}`];
  mustPass(add, await pb([...add, "--stdin", "token"], { home, stdin: token }));
  return transferring(name, home);
}

async function transferring(name: string, home: string) {
  const child = start(PB, ["transfer", folder.at("big"), `box:/data/${name}/big`, ...SLOWLY], {
    env: { PB_HOME: home },
  });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => said.push(chunk.toString("utf8")));
  }
  child.stdin?.end();
  await untilPartial(folder.at(`root/${name}`));
  return {
    end: async () => ({ code: (await exited(child))[0], said: said.join("") }),
    goesOn: () => child.exitCode === null && child.signalCode === null,
  };
}

async function expectEnded(name: string, ended: Awaited<ReturnType<typeof sending>>, codes: RegExp) {
  const { code, said } = await ended.end();
  expect([code, said]).toEqual([4, expect.stringMatching(codes)]);
  expect(existsSync(join(folder.at("root"), name, "big"))).toBe(false);
}

const ENDED = /"code":"(revoked|token_expired|token_invalid)"/;

test("its time is over", async () => {
  const ended = await sending("late", await signed(0, SHORT_S));
  await expectEnded("late", ended, ENDED);
});

test("it was revoked; another of the same owner goes on", async () => {
  const [one, other] = [await issued(), await issued()];
  const [ended, goesOn] = [await sending("revoked", one.token), await sending("kept", other.token)];
  await owner("--revoke", one.id);
  await expectEnded("revoked", ended, ENDED);
  expect(goesOn.goesOn()).toBe(true);
  await owner("--rotate-key");
  // That one's key is another now.
  await expectEnded("kept", goesOn, ENDED);
});

test("its issuer's key is not trusted any more; a token of another key goes on", async () => {
  const [ended, goesOn] = [
    await sending("old", await signed(0, 600)),
    await sending("new", await signed(1, 600)),
  ];
  await trust(...keys.slice(1));
  await expectEnded("old", ended, ENDED);
  expect(goesOn.goesOn()).toBe(true);
  await trust();
  await expectEnded("new", goesOn, ENDED);
});

test("a certificate's client was revoked", async () => {
  const home = folder.at("home-certified");
  const args = ["remote", "add", "--json", "box", server.invite ?? ""];
  const { clientId } = mustPass(args, await pb(args, { home })).json<{ clientId: string }>();
  const ended = await transferring("certified", home);
  const revoke = ["clients", "revoke", "--state", folder.at("state"), clientId];
  mustPass(revoke, await pb(revoke, { home: folder.at("owner") }));
  await expectEnded("certified", ended, ENDED);
});

test("how long an issuer's keys count has bounds, which a server names before it serves", async () => {
  const args = [
    "serve",
    "--root",
    folder.at("root"),
    "--state",
    folder.at("unserved"),
    "--jwt-refresh",
    "0s",
  ];
  const { code, stderr } = await pb(args, { home: folder.at("owner") });
  expect(code).toBe(2);
  expect(stderr).toContain("--jwt-refresh");
});
