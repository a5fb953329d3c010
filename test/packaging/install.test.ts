import { mkdir, readdir, readFile, realpath, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunResult, run } from "../e2e/lib/process.ts";
import { type Scratch, scratch } from "../e2e/lib/scratch.ts";

const CHECKOUT = fileURLToPath(new URL("../../", import.meta.url));

/** `npm pack`, then `npm install -g` of the tarball where there is no Rust, no compiler, no network and no home. */
let folder: Scratch;
let environment: Record<string, string>;

beforeAll(async () => {
  folder = scratch();
  for (const name of ["tools", "home", "prefix"]) await mkdir(folder.at(name));
  const npm = await findNpm();
  await symlink(process.execPath, folder.at("tools", "node"));
  await symlink(npm, folder.at("tools", "npm"));
  await symlink("/bin/sh", folder.at("tools", "sh"));
  environment = {
    PATH: `${folder.at("prefix", "bin")}:${folder.at("tools")}`,
    HOME: folder.at("home"),
    CARGO_HOME: folder.at("home", "no-cargo"),
    npm_config_cache: folder.at("cache"),
    npm_config_update_notifier: "false",
  };
  // The bundle and the addon are built: packing must not build again.
  await must(run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder.path], { cwd: CHECKOUT }));
});

afterAll(() => folder?.[Symbol.asyncDispose]());

async function findNpm(): Promise<string> {
  for (const path of (process.env.PATH ?? "").split(":")) {
    const found = await realpath(join(path, "npm")).catch(() => undefined);
    if (found?.endsWith(".js")) return found;
  }
  throw new Error("no npm on the PATH");
}

async function must(result: Promise<RunResult>): Promise<RunResult> {
  const { code, stdout, stderr } = await result;
  if (code !== 0) throw new Error(`exit ${code}\n${stdout}\n${stderr}`);
  return result;
}

const installed = (command: string, ...args: string[]) =>
  must(
    run(folder.at("tools", "sh"), ["-c", `${command} "$@"`, "sh", ...args], {
      env: environment,
      cwd: folder.at("home"),
    }),
  );

test("the tarball holds the program, the addon and the documents, and needs no other package", async () => {
  const tarball = await tarballName();
  const { stdout } = await must(run("tar", ["-tzf", folder.at(tarball)]));
  const files = stdout
    .trim()
    .split("\n")
    .map((name) => name.replace(/^package\//, ""));
  for (const name of [
    "bin/pb",
    "bin/package.json",
    "dist/main.js",
    "dist/main.js.v8",
    "dist/package.json",
    "dist/THIRD-PARTY-LICENCES.txt",
    "native/THIRD-PARTY-LICENCES.txt",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
  ]) {
    expect(files).toContain(name);
  }
  expect(files.filter((name) => name.endsWith(".node"))).toHaveLength(1);
  expect(files.filter((name) => /^(src|test|node_modules|scripts)\//.test(name))).toEqual([]);
  const manifest = JSON.parse(await readFile(join(CHECKOUT, "package.json"), "utf8"));
  expect(Object.keys(manifest.dependencies ?? {})).toEqual([]);
  for (const script of ["preinstall", "install", "postinstall"])
    expect(manifest.scripts[script]).toBeUndefined();
});

test("installed without Rust and without a registry, pb works", async () => {
  const prefix = ["--prefix", folder.at("prefix")];
  await installed(
    "npm",
    "install",
    "-g",
    "--offline",
    "--no-audit",
    ...prefix,
    folder.at(await tarballName()),
  );
  const { version } = JSON.parse(await readFile(join(CHECKOUT, "package.json"), "utf8"));
  expect((await installed("pb", "version")).stdout).toContain(version);
  const demo = await installed("pb", "demo", "--size", "1MiB", "--files", "10");
  expect(demo.code).toBe(0);
});

const PB = join(CHECKOUT, "bin/pb");

test("V8 takes what the build has compiled", async () => {
  const ask = `const { scripts } = require(${JSON.stringify(PB)});
    process.on("exit", () => console.error(JSON.stringify([...scripts.values()].map(({ script }) => script.cachedDataRejected))));`;
  const { stderr } = await must(run(process.execPath, ["-e", ask, "version", "version"]));
  expect(JSON.parse(stderr)).toContain(false);
  expect(JSON.parse(stderr)).not.toContain(true);
});

test("with --enable-source-maps a trace names the sources", async () => {
  const script = `process.argv = [process.execPath, "pb", "version"];
    require(${JSON.stringify(PB)});
    process.stdout.write = () => { console.error(new Error("here").stack); process.exit(0); };`;
  const { stderr } = await must(run(process.execPath, ["--enable-source-maps", "-e", script]));
  expect(stderr).toMatch(/src\/cli\/output\.ts:\d+/);
});

async function tarballName(): Promise<string> {
  const found = (await readdir(folder.path)).find((name) => name.endsWith(".tgz"));
  if (found === undefined) throw new Error("npm pack made no tarball");
  return found;
}
