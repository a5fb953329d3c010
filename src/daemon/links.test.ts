/** Symbolic links from and to endpoints without an engine: kept where they can be, else counted. */
import { lstat, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RealEndpoint, SERVERS } from "../../test/servers/endpoints.ts";
import { endpoint } from "./testing/endpoint.ts";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

const server = SERVERS.find(({ name }) => name === "sftp");
const why = server?.missing;

/** Text by name; a file says so itself. */
const LINKS: Readonly<Record<string, string>> = {
  "to-file": "sub/file",
  "sub/up": "..",
  dangling: "not there\n",
  away: "/nowhere/at/all",
};

describe.skipIf(why !== undefined)(`links${why ? ` (SKIPPED: ${why})` : ""}`, () => {
  let loop: Loopback;
  let sftp: RealEndpoint;

  beforeAll(async () => {
    if (server === undefined) throw new TypeError("no sftp in SERVERS");
    sftp = await server.start();
    loop = await startLoopback({ remotes: { sftp: sftp.open, ...endpoint("cloud") } });
    await mkdir(loop.at("here"));
  });
  afterAll(async () => {
    await loop?.[Symbol.asyncDispose]();
    await sftp?.stop();
  });

  const folderOf = (place: string, tree: string) =>
    place === "sftp" ? join(sftp.root, tree) : loop.at(place, tree);
  const placeOf = (place: string, tree: string) =>
    place === "here" ? loop.at("here", tree) : `${place}:/${tree}`;

  async function makeTree(folder: string): Promise<void> {
    await mkdir(join(folder, "sub"), { recursive: true });
    await writeFile(join(folder, "sub/file"), "content");
    for (const [name, text] of Object.entries(LINKS)) await symlink(text, join(folder, name));
  }
  async function linksIn(folder: string): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    // Not recursive by itself: that goes through links.
    const top = await readdir(folder);
    const below = top.includes("sub") ? await readdir(join(folder, "sub")) : [];
    for (const name of [...top, ...below.map((each) => `sub/${each}`)])
      if ((await lstat(join(folder, name))).isSymbolicLink())
        found[name] = await readlink(join(folder, name));
    return found;
  }

  it.each([
    ["here", "sftp"],
    ["sftp", "here"],
    ["sftp", "box"],
    ["box", "sftp"],
    ["sftp", "sftp"],
  ])("go from %s to %s, once, and again where they point elsewhere by now", async (from, to) => {
    const [source, target] = [`t-${from}-${to}`, `u-${from}-${to}`];
    await makeTree(folderOf(from, source));
    const request = { from: placeOf(from, source), to: placeOf(to, target) };
    const done = await transfer(loop, request);
    expect([done.error?.message, done.receipt?.state]).toEqual([undefined, "done"]);
    expect([done.receipt?.symlinks, done.receipt?.leftOutLinks]).toEqual([4n, 0n]);
    expect(await linksIn(folderOf(to, target))).toEqual(LINKS);

    const again = await transfer(loop, request);
    expect([again.receipt?.state, again.receipt?.symlinks]).toEqual(["done", 0n]);
    await rm(join(folderOf(from, source), "dangling"));
    await symlink("elsewhere", join(folderOf(from, source), "dangling"));
    const third = await transfer(loop, request);
    expect([third.receipt?.state, third.receipt?.symlinks]).toEqual(["done", 1n]);
    expect(await linksIn(folderOf(to, target))).toEqual({ ...LINKS, dangling: "elsewhere" });
  });

  it("are followed where that is asked for", async () => {
    const folder = folderOf("sftp", "followed");
    await mkdir(folder);
    await writeFile(join(folder, "file"), "content");
    await symlink("file", join(folder, "link"));
    const done = await transfer(loop, {
      from: "sftp:/followed",
      to: loop.at("here", "followed"),
      options: { follow: true },
    });
    expect([done.receipt?.state, done.receipt?.files, done.receipt?.symlinks]).toEqual(["done", 2n, 0n]);
    expect(await readFile(loop.at("here", "followed", "link"), "utf8")).toBe("content");
    expect(await linksIn(loop.at("here", "followed"))).toEqual({});
  });

  it("are moved, and gone at their source then", async () => {
    for (const [from, to] of [
      ["here", "sftp"],
      ["sftp", "here"],
    ] as const) {
      await makeTree(folderOf(from, `m-${from}`));
      const request = { from: placeOf(from, `m-${from}`), to: placeOf(to, `n-${from}`), move: true };
      const moved = await transfer(loop, request);
      expect([moved.error?.message, moved.receipt?.state]).toEqual([undefined, "done"]);
      expect(await linksIn(folderOf(to, `n-${from}`))).toEqual(LINKS);
      expect(await readdir(folderOf(from, ""))).not.toContain(`m-${from}`);
    }
  });

  it("are left out and counted where they cannot be, and then not moved away", async () => {
    const folder = folderOf("here", "left");
    await makeTree(folder);
    const done = await transfer(loop, { from: folder, to: "cloud:/left", move: true });
    expect([done.receipt?.symlinks, done.receipt?.leftOutLinks]).toEqual([0n, 4n]);
    expect(done.receipt?.notices.map(({ code }) => code)).toContain("skipped-links");
    expect(await linksIn(folder)).toEqual(LINKS);
    expect(await linksIn(loop.at("cloud", "left"))).toEqual({});
  });
});
