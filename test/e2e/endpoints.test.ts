/** Endpoints without an engine as a user meets them; every pair of them is in src/daemon/matrix.test.ts. */

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { available, startNginx } from "../servers/nginx.ts";
import { mustPass, pb } from "./harness.ts";
import { PB, start } from "./lib/process.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";
import { untilPartial } from "./lib/running.ts";
import { scratch } from "./lib/scratch.ts";

const MIB = 1 << 20;

interface Receipt {
  readonly state: string;
  readonly files: number;
  readonly resumedBytes: number;
  readonly verified: string;
}

const why = available({ dav: true });

describe.skipIf(why !== undefined)(`a web server${why ? ` (SKIPPED: ${why})` : ""}`, () => {
  test("is listed and read; a download that was killed goes on in the middle of the file", async () => {
    await using folder = scratch();
    const [root, home, to] = ["root", "home", "to"].map((name) => folder.at(name)) as [
      string,
      string,
      string,
    ];
    for (const each of [root, to]) await mkdir(each);
    await writeRandomFile(join(root, "big file"), 64 * MIB, "endpoints");
    await using server = await startNginx({ root });
    const url = server.url.replace(/\/$/, "");
    const listed = mustPass(["ls"], await pb(["ls", `${url}/`], { home }));
    expect(listed.stdout.trim()).toBe("big file");
    const stat = mustPass(["stat"], await pb(["stat", "--json", `${url}/big%20file`], { home }));
    const told = Object.keys(JSON.parse(stat.stdout) as object);
    expect(told).toEqual(["location", "kind", "size", "mtime"]);
    const long = mustPass(["ls"], await pb(["ls", "-l", `${url}/`], { home }));
    expect(long.stdout).toMatch(/^-\?{9} /);
    const args = ["transfer", `${url}/big%20file`, join(to, "big")];
    const first = start(PB, [...args, "--limit", "12M"], { env: { PB_HOME: home }, cwd: to });
    first.stdin?.end();
    await untilPartial(to, 24 * MIB);
    first.kill("SIGKILL");
    const again = mustPass(args, await pb([...args, "--json"], { home }));
    const receipt = JSON.parse(again.stdout.trim().split("\n").at(-1) ?? "") as Receipt;
    expect(receipt).toMatchObject({ state: "done", files: 1, verified: "blake3+size" });
    expect(receipt.resumedBytes).toBeGreaterThan(8 * MIB);
    expect(await sha256OfFile(join(to, "big"))).toBe(await sha256OfFile(join(root, "big file")));
    expect(await readdir(to)).toEqual(["big"]);
  });

  test("is moved from, and what its listing leaves out stays where it is", async () => {
    await using folder = scratch();
    const [root, home, to] = [folder.at("root"), folder.at("home"), folder.at("to")];
    for (const each of [join(root, "x/sub"), to]) await mkdir(each, { recursive: true });
    for (const name of ["x/f", "x/.secret", "x/sub/g"]) await writeFile(join(root, name), name);
    await using server = await startNginx({ root, dav: true });
    const add = ["remote", "add", "dav", "webdav", "--set", `url=${server.url}`];
    mustPass(add, await pb(add, { home }));
    const remove = await pb(["rm", "dav:x/sub"], { home });
    expect([remove.code, remove.stderr]).toEqual([1, expect.stringContaining("--recursive")]);
    const args = ["move", "dav:x", `${to}/x`];
    const { stderr } = mustPass(args, await pb(args, { home }));
    expect(stderr).toContain("2 of the source's folders stay: dav:/x/sub: ");
    expect(await readFile(join(to, "x/sub/g"), "utf8")).toBe("x/sub/g");
    expect(await readFile(join(root, "x/.secret"), "utf8")).toBe("x/.secret");
    expect(await readdir(join(root, "x"))).toEqual([".secret", "sub"]);
    expect(await readdir(join(root, "x/sub"))).toEqual([]);
    // By HTTP alone there are no folders.
    await writeFile(join(root, "x/sub/h"), "h");
    const web = ["move", `${server.url}x/sub`, `${to}/web`];
    expect(mustPass(web, await pb(web, { home })).stderr).toContain("1 of the source's folders stay");
    expect(await readdir(join(root, "x/sub"))).toEqual([]);
  });

  test("takes standard input, whose length nobody knows, and gives a file to standard output", async () => {
    await using folder = scratch();
    const [root, home] = [folder.at("root"), folder.at("home")];
    await mkdir(root);
    await using server = await startNginx({ root, dav: true });
    const content = "line by line\n".repeat(300_000);
    const up = ["transfer", "-", `${server.url}piped`];
    mustPass(up, await pb(up, { home, stdin: content }));
    expect((await readFile(join(root, "piped"), "utf8")) === content).toBe(true);
    const down = ["transfer", `${server.url}piped`, "-"];
    expect(mustPass(down, await pb(down, { home })).stdout === content).toBe(true);
    expect(await readdir(root)).toEqual(["piped"]);
  });
});
