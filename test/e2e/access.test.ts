import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Pair, pb, startPair } from "./harness.ts";
import { errorsOf, expectError } from "./lib/assert.ts";
import { forgeInvite } from "./lib/invite.ts";
import { sleep } from "./lib/process.ts";
import { startServer } from "./lib/server.ts";

/** Who may do what, and what is said to those who may not. Exit code 4: authentication. */
let pair: Pair;

beforeAll(async () => {
  pair = await startPair();
  await writeFile(pair.scratch.at("file"), "content");
});

afterAll(() => pair?.[Symbol.asyncDispose]());

const enrol = async (name: string, invite: string) => {
  const home = pair.scratch.at(`home-${name}`);
  return { home, result: await pb(["remote", "add", "--json", "box", invite], { home }) };
};

const remotesOf = async (home: string) => (await pb(["remote", "list", "--json"], { home })).json<object[]>();

test("a wrong token, and a damaged invite, enrol nobody", async () => {
  const invite = await pair.invite();
  const forged = await enrol("forged", forgeInvite(invite, "token"));
  expectError(forged.result, 4, "token_invalid");
  expect(await remotesOf(forged.home)).toEqual([]);
  const cut = await enrol("cut", invite.slice(0, -6));
  expectError(cut.result, 4, "token_invalid");
});

test("an invite ends, and is used up", async () => {
  const short = await pair.invite("--expires", "1s");
  const once = await pair.invite();
  await sleep(1_200);
  expectError((await enrol("late", short)).result, 4, "token_expired");
  expect((await enrol("first", once)).result.code).toBe(0);
  expectError((await enrol("second", once)).result, 4, "token_used");
});

test("a server with another CA is not talked to", async () => {
  const invite = await pair.invite();
  expectError(
    (await enrol("other-ca", forgeInvite(invite, "fingerprint"))).result,
    4,
    "fingerprint_mismatch",
  );
});

test("a pinned server that has been replaced is refused", async () => {
  const replaced = await startPair();
  await using _ = replaced;
  await replaced.server.stop();
  const state = replaced.scratch.at("other-state");
  const { address } = replaced.server;
  await using _other = await startServer({ roots: [replaced.root], state, listen: address });
  expectError(await replaced.pb(["ls", "--json", "box:/"]), 4, "fingerprint_mismatch");
  const sent = await replaced.pb(["cp", "--json", pair.scratch.at("file"), "box:/file"]);
  expect(sent.code).toBe(4);
  expect(await readdir(replaced.root)).toEqual([]);
});

test("a revoked client is shut out at once", async () => {
  const { home, result } = await enrol("revoked", await pair.invite());
  expect(result.code).toBe(0);
  const { clientId } = result.json<{ clientId: string }>();
  expect((await pb(["ls", "box:/"], { home })).code).toBe(0);
  await pair.ok(["clients", "revoke", "--state", pair.state, clientId]);
  expectError(await pb(["ls", "--json", "box:/"], { home }), 4, "revoked");
  const sent = await pb(["cp", "--json", pair.scratch.at("file"), "box:/revoked"], { home });
  expectError(sent, 4, "revoked");
  expect(await readdir(pair.root)).not.toContain("revoked");
});

test("a read-only client reads and changes nothing", async () => {
  await writeFile(`${pair.root}/readable`, "r");
  const { home } = await enrol("reader", await pair.invite("--read-only"));
  expect((await pb(["cp", "box:/readable", "-"], { home })).stdout).toBe("r");
  for (const command of [
    ["mkdir", "box:/x"],
    ["touch", "box:/x"],
    ["rm", "box:/readable"],
    ["rename", "box:/readable", "x"],
    ["cp", pair.scratch.at("file"), "box:/x"],
  ]) {
    const result = await pb([...command, "--json"], { home });
    expect({ command, exit: result.code, code: errorsOf(result)[0]?.code }).toEqual({
      command,
      exit: 1,
      code: "read_only",
    });
  }
  const names = await readdir(pair.root);
  expect(names).toContain("readable");
  expect(names).not.toContain("x");
});

test("a client confined to a folder sees it as everything", async () => {
  await mkdir(`${pair.root}/mine`);
  await writeFile(`${pair.root}/theirs`, "secret");
  const { home } = await enrol("confined", await pair.invite("--path", "/mine"));
  expect((await pb(["cp", pair.scratch.at("file"), "box:/put"], { home })).code).toBe(0);
  expect(await readdir(`${pair.root}/mine`)).toEqual(["put"]);
  expectError(await pb(["stat", "--json", "box:/theirs"], { home }), 3, "not_found");
  expectError(await pb(["stat", "--json", "box:/../theirs"], { home }), 1, "path_escapes");
});

test("no path leads out of the root", async () => {
  const outside = pair.scratch.at("outside");
  await mkdir(outside);
  await writeFile(`${outside}/secret`, "secret");
  await symlink(outside, `${pair.root}/out`);
  await symlink("../outside/secret", `${pair.root}/peek`);
  for (const command of [
    ["ls", "box:/out/"],
    ["ls", "box:/../outside"],
    ["stat", "box:/out/secret"],
    ["mkdir", "box:/out/new"],
    ["rm", "box:/out/secret"],
    ["cp", "box:/out/secret", pair.scratch.at("stolen")],
    ["cp", "--follow", "box:/peek", pair.scratch.at("stolen")],
    ["cp", pair.scratch.at("file"), "box:/out/file"],
    ["cp", pair.scratch.at("file"), "box:/../outside/file"],
  ]) {
    const result = await pair.pb([...command, "--json"]);
    expect({ command, code: errorsOf(result)[0]?.code }).toEqual({ command, code: "path_escapes" });
    expect(result.code).not.toBe(0);
  }
  expect(await readdir(outside)).toEqual(["secret"]);
  expect(await readdir(pair.scratch.path)).not.toContain("stolen");
});

test("an unknown remote is a usage error; a server that is gone is temporary", async () => {
  expectError(await pair.pb(["ls", "--json", "nobody:/"]), 2, "unknown_remote");
  await using gone = await startPair();
  await gone.server.stop();
  expectError(await gone.pb(["ls", "--json", "box:/"]), 5, "unreachable");
  const sent = await gone.pb(["cp", "--json", pair.scratch.at("file"), "box:/file"]);
  expectError(sent, 5, "unreachable");
});
