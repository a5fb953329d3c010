import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import type { Entry } from "../../model/entry.ts";
import { type ErrorCode, PbError } from "../../model/error.ts";
import { pathBytes } from "../../model/path.ts";
import type { Backend, ListBatch } from "../backend.ts";

/** Where the backend's files really are, to prepare and to look behind its back. Paths are `PathText` below its root. */
export interface Place {
  write(path: string, content: string): Promise<void>;
  /** Empty files `0`, `1`, … in a folder. */
  fill(folder: string, count: number): Promise<void>;
  /** A symbolic link with this text. */
  link(path: string, target: string): Promise<void>;
  read(path: string): Promise<string>;
  exists(path: string): Promise<boolean>;
  /** The absolute path of a file outside the backend's root that must never change; at "../outside/canary" from the root. */
  readonly canary: string;
}

export interface Fixture extends AsyncDisposable {
  readonly backend: Backend;
  readonly place: Place;
}

export type OpenFixture = () => Promise<Fixture>;

/** What kind of endpoint it is: which sentences of the contract apply. Must agree with the backend's capabilities. */
export interface Traits {
  readonly links: boolean;
  readonly permissions: boolean;
  /** Are there folders, names and times to change? Default true. */
  readonly changes?: boolean;
  /** Does the server list names that begin with a dot? Else no folder is known to be empty. Default true. */
  readonly showsHidden?: boolean;
  /** Any bytes, or UTF-8 only. */
  readonly names: "bytes" | "text";
  /** Each entry of a listing costs a request, so that ten thousand would take most of the test. */
  readonly requestPerEntry?: boolean;
  /** Kinds of names (naming.ts) that the server of this test, not its protocol, cannot hold. */
  readonly without?: readonly string[];
}

export const POSIX: Traits = { links: true, permissions: true, names: "bytes" };

export const CANARY = "must not change";

/** In memory where the host has such a place: ten thousand files and their syncs must not wait for a busy disk. */
const TOP = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** A temporary folder with `root/` for the backend and `outside/canary` beside it. */
export async function folderPlace(): Promise<Place & { readonly root: string } & AsyncDisposable> {
  const top = await mkdtemp(join(TOP, "pb-conformance-"));
  const root = join(top, "root");
  const canary = join(top, "outside/canary");
  await mkdir(root);
  await mkdir(dirname(canary));
  await writeFile(canary, CANARY);
  const at = (path: string) => Buffer.concat([Buffer.from(`${root}/`), pathBytes(path)]);
  const above = (path: string) => Buffer.from(at(path).subarray(0, at(path).lastIndexOf("/")));
  return {
    root,
    canary,
    async write(path, content) {
      await mkdir(above(path), { recursive: true });
      await writeFile(at(path), content);
    },
    // One after the other without promises: several times faster for thousands.
    async fill(folder, count) {
      mkdirSync(at(folder), { recursive: true });
      for (let n = 0; n < count; n += 1) writeFileSync(at(`${folder}/${n}`), "");
    },
    async link(path, target) {
      await mkdir(above(path), { recursive: true });
      await symlink(pathBytes(target) as Buffer, at(path));
    },
    read: (path) => readFile(at(path), "utf8"),
    exists: (path) =>
      lstat(at(path)).then(
        () => true,
        () => false,
      ),
    [Symbol.asyncDispose]: () => rm(top, { recursive: true, force: true }),
  };
}

export const never = new AbortController().signal;

/** All batches of a listing as one. */
export async function collect(batches: AsyncIterable<ListBatch>): Promise<{
  readonly entries: readonly Entry[];
  readonly errors: readonly PbError[];
}> {
  const entries: Entry[] = [];
  const errors: PbError[] = [];
  for await (const batch of batches) {
    expect(batch.entries.length).toBeLessThanOrEqual(1_000);
    entries.push(...batch.entries);
    errors.push(...batch.errors);
  }
  return { entries, errors };
}

export async function namesBelow(backend: Backend, path: string): Promise<string[]> {
  const { entries, errors } = await collect(
    backend.list(path, { recursive: true, follow: false, signal: never }),
  );
  expect(errors).toEqual([]);
  return entries.map((entry) => entry.path);
}

/** The call rejects with a `PbError` of this code; gives it back. */
export async function refused(code: ErrorCode, call: Promise<unknown>): Promise<PbError> {
  const error = await call.then(
    (value) => expect.fail(`expected ${code}, got ${JSON.stringify(value, (_key, v) => String(v))}`),
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(PbError);
  expect((error as PbError).code).toBe(code);
  return error as PbError;
}

/** Text whose every part tells where it is from. */
export function sampleText(size: number): string {
  let text = "";
  for (let line = 0; text.length < size; line += 1) text += `${line.toString(36)}\n`;
  return text.slice(0, size);
}
