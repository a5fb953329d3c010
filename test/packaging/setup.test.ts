import { chmod, cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "../e2e/lib/process.ts";
import { type Scratch, scratch } from "../e2e/lib/scratch.ts";

const CHECKOUT = fileURLToPath(new URL("../../", import.meta.url));

/** What set-up reads before anything is installed, in a folder where nothing was ever built. */
async function bareCheckout(): Promise<Scratch> {
  const folder = scratch();
  for (const name of ["scripts", "package.json", "package-lock.json", "native/Cargo.toml"]) {
    await cp(join(CHECKOUT, name), folder.at("checkout", name), { recursive: true });
  }
  await mkdir(folder.at("tools"));
  await symlink(process.execPath, folder.at("tools", "node"));
  return folder;
}

const setup = (folder: Scratch) =>
  run(folder.at("tools", "node"), ["scripts/setup.mjs"], {
    cwd: folder.at("checkout"),
    env: { PATH: folder.at("tools"), HOME: folder.path, CARGO_HOME: folder.at("no-cargo") },
  });

/** A program that prints one line. */
async function fake(folder: Scratch, name: string, line: string): Promise<void> {
  await writeFile(folder.at("tools", name), `#!/bin/sh\necho '${line}'\n`);
  await chmod(folder.at("tools", name), 0o755);
}

test("without Rust the first line says what to install, before anything is downloaded", async () => {
  await using folder = await bareCheckout();
  const { code, stdout, stderr } = await setup(folder);
  expect(code).toBe(1);
  expect(stdout).toBe("");
  expect(stderr.split("\n")[0]).toMatch(
    /^Packetboat needs a Rust toolchain \(1\.\d+ or newer\).*install rustup/,
  );
});

test("a toolchain that is too old is told apart", async () => {
  await using folder = await bareCheckout();
  await fake(folder, "rustc", "rustc 1.70.0 (90c541806 2023-05-31)");
  await fake(folder, "cargo", "cargo 1.70.0");
  const { code, stderr } = await setup(folder);
  expect(code).toBe(1);
  expect(stderr.split("\n")[0]).toMatch(/needs Rust 1\.\d+ or newer.*1\.70\.0.*rustup update/);
});

test("a missing C compiler is named", async () => {
  await using folder = await bareCheckout();
  await fake(folder, "rustc", "rustc 1.99.0 (abc 2026-01-01)");
  await fake(folder, "cargo", "cargo 1.99.0");
  const { code, stderr } = await setup(folder);
  expect(code).toBe(1);
  expect(stderr.split("\n")[0]).toMatch(/needs a C compiler/);
});
