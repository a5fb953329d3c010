/** What the scripts share. Node's builtins only: it runs before `npm ci`. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");

export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** Ends the process; the first line says what to do. */
export function fail(...lines) {
  for (const line of lines) say(line);
  process.exit(1);
}

/**
 * Runs a command with its output on standard error, so that a script's own standard output stays clean.
 *
 * @returns the exit status; 127 where the command does not exist
 */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: ["ignore", 2, 2], ...options });
  if (result.error?.code === "ENOENT") return 127;
  return result.status ?? 1;
}

/** Standard output of a command, or undefined where it failed or does not exist. */
export function output(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    ...options,
  });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

const SKIPPED = new Set(["node_modules", "target", "dist", ".git", ".cache"]);

/** All files below the given paths (files or folders, relative to the checkout), sorted, relative. */
export function filesBelow(...paths) {
  const found = [];
  for (const path of paths) collect(join(ROOT, path), found);
  return found.sort();
}

function collect(path, found) {
  if (!existsSync(path)) return;
  let names;
  try {
    names = readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (error.code !== "ENOTDIR") throw error;
    found.push(relative(ROOT, path));
    return;
  }
  for (const entry of names) {
    if (SKIPPED.has(entry.name)) continue;
    if (entry.isDirectory()) collect(join(path, entry.name), found);
    else if (entry.isFile()) found.push(relative(ROOT, join(path, entry.name)));
  }
}

/** SHA-256 over names and contents. */
export function hashFiles(files, extra = "") {
  const hash = createHash("sha256").update(extra);
  for (const file of files) {
    const content = readFileSync(join(ROOT, file));
    hash.update(`\0${file}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

const stampPath = (name) => join(ROOT, ".cache", `${name}.stamp`);

/** Was the thing of this name last made from exactly this? */
export function isFresh(name, hash) {
  return existsSync(stampPath(name)) && readFileSync(stampPath(name), "utf8") === hash;
}

export function setFresh(name, hash) {
  mkdirSync(dirname(stampPath(name)), { recursive: true });
  writeFileSync(stampPath(name), hash);
}
