import { chmod, lstat, mkdir, open, readdir, readlink, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomBytes, randomIntegers, sha256OfFile, writeRandomFile } from "./random.ts";

export interface TreeShape {
  readonly files: number;
  readonly seed: number | string;
  /** Bytes; most files are far smaller. Default 16 KiB. */
  readonly largestFile?: number;
}

const MODES = [0o644, 0o600, 0o755, 0o444, 0o640];
const ODD_NAMES = [
  "with space",
  "ünï-cödé",
  "new\nline",
  "quote'\"",
  "-dash",
  "trailing.",
  "#hash%20",
  "a:b",
];

/** Folders, files of many sizes and modes, links, empty folders and odd names, with times in the past. */
export async function makeTree(path: string, shape: TreeShape): Promise<void> {
  const pick = randomIntegers(shape.seed);
  const largest = shape.largestFile ?? 16 << 10;
  const folders = [path];
  await mkdir(path, { recursive: true });
  for (let n = 0; n < Math.max(3, shape.files / 25); n += 1) {
    const parent = folders[pick(folders.length)] ?? path;
    const folder = join(parent, `d${n}`);
    await mkdir(folder);
    folders.push(folder);
  }
  for (let n = 0; n < shape.files; n += 1) {
    const folder = folders[pick(folders.length)] ?? path;
    const name = n < ODD_NAMES.length ? (ODD_NAMES[n] ?? "") : `f${n}`;
    const size = pick(10) === 0 ? 0 : pick(1 + (pick(20) === 0 ? largest : Math.min(largest, 2048)));
    const file = join(folder, name);
    await writeFile(file, randomBytes(`${shape.seed}/${n}`, size));
    await chmod(file, MODES[pick(MODES.length)] ?? 0o644);
    await setPast(file, pick(1 << 30));
  }
  await addOddities(path);
}

async function addOddities(path: string): Promise<void> {
  await mkdir(join(path, "empty", "inner"), { recursive: true });
  await symlink("d0/somewhere", join(path, "dangling"));
  await symlink("empty", join(path, "to-folder"));
  await chmod(join(path, "empty"), 0o750);
  await setPast(join(path, "empty", "inner"), 12_345);
}

/** An mtime with a part below the microsecond's reach of most tools. */
async function setPast(path: string, seconds: number): Promise<void> {
  const at = 1_000_000_000 + (seconds % 500_000_000) + 0.123_456;
  await utimes(path, at, at);
}

/** A file with a hole between two runs of data. */
export async function makeSparseFile(path: string, bytes: number): Promise<void> {
  await writeRandomFile(path, 256 << 10, "head");
  const file = await open(path, "r+");
  await file.truncate(bytes);
  const tail = randomBytes("tail", 128 << 10);
  await file.write(tail, 0, tail.length, bytes - tail.length);
  await file.close();
}

export interface CompareOptions {
  readonly modes?: boolean;
  readonly times?: boolean;
  /** Blocks allocated may exceed the source's by a sixteenth and 64 KiB, not more. */
  readonly holes?: boolean;
}

/** What differs, one line each; empty when the trees are equal. */
export async function differences(
  left: string,
  right: string,
  options: CompareOptions = {},
): Promise<string[]> {
  const found: string[] = [];
  await compare(left, right, "", { modes: true, times: true, holes: true, ...options }, found);
  return found;
}

async function compare(
  left: string,
  right: string,
  path: string,
  options: Required<CompareOptions>,
  found: string[],
): Promise<void> {
  const [a, b] = await Promise.all([look(join(left, path)), look(join(right, path))]);
  if (a === undefined || b === undefined) {
    found.push(`${path}: only in the ${a === undefined ? "second" : "first"}`);
    return;
  }
  if (a.kind !== b.kind) {
    found.push(`${path}: ${a.kind} and ${b.kind}`);
    return;
  }
  if (a.kind !== "link") {
    if (options.modes && a.mode !== b.mode)
      found.push(`${path}: mode ${a.mode.toString(8)} and ${b.mode.toString(8)}`);
    if (options.times && a.mtimeNs !== b.mtimeNs) found.push(`${path}: mtime ${a.mtimeNs} and ${b.mtimeNs}`);
  }
  if (a.kind === "folder") {
    const names = new Set([...(await readdir(join(left, path))), ...(await readdir(join(right, path)))]);
    for (const name of [...names].sort()) await compare(left, right, join(path, name), options, found);
  } else if (a.kind === "file") {
    await compareFiles(left, right, path, { a, b, options, found });
  } else if (a.target !== b.target) {
    found.push(`${path}: link to ${a.target} and ${b.target}`);
  }
}

async function compareFiles(
  left: string,
  right: string,
  path: string,
  context: { a: Look; b: Look; options: Required<CompareOptions>; found: string[] },
): Promise<void> {
  const { a, b, options, found } = context;
  if (a.size !== b.size) {
    found.push(`${path}: ${a.size} and ${b.size} bytes`);
    return;
  }
  if (options.holes && b.allocated > a.allocated * 1.0625 + 65_536) {
    found.push(`${path}: ${a.allocated} and ${b.allocated} bytes allocated`);
  }
  const same = (await sha256OfFile(join(left, path))) === (await sha256OfFile(join(right, path)));
  if (!same) found.push(`${path}: content differs`);
}

interface Look {
  readonly kind: "file" | "folder" | "link" | "other";
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly size: number;
  readonly allocated: number;
  readonly target: string;
}

async function look(path: string): Promise<Look | undefined> {
  const stat = await lstat(path, { bigint: true }).catch(() => undefined);
  if (stat === undefined) return undefined;
  return {
    kind: stat.isFile() ? "file" : stat.isDirectory() ? "folder" : stat.isSymbolicLink() ? "link" : "other",
    mode: Number(stat.mode & 0o7777n),
    mtimeNs: stat.mtimeNs,
    size: Number(stat.size),
    allocated: Number(stat.blocks) * 512,
    target: stat.isSymbolicLink() ? await readlink(path) : "",
  };
}

/** Temporary names of unfinished files below a folder, sorted. */
export async function leftovers(path: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(path, below), { withFileTypes: true })) {
    const name = join(below, entry.name);
    if (entry.isDirectory()) found.push(...(await leftovers(path, name)));
    else if (/^\.pb-.*\.part$/.test(entry.name)) found.push(name);
  }
  return found.sort();
}
