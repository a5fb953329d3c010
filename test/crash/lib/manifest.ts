/** What a tree holds, so that another one, or the same one later, can be compared with it. */
import { createHash } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";

export interface Item {
  readonly kind: "file" | "folder" | "link" | "other";
  readonly size: number;
  /** Of a file its SHA-256, of a link its target; else empty. */
  readonly content: string;
  readonly mode: number;
  readonly mtimeNs: bigint;
  /** Bytes of blocks that it has. */
  readonly allocated: number;
}

/** What a user has of an item: how many blocks hold it is the file system's affair, and may change after it was written. */
export function withoutBlocks(item: Item | undefined): Omit<Item, "allocated"> | undefined {
  if (item === undefined) return undefined;
  const { allocated: _, ...rest } = item;
  return rest;
}

/** By path below the tree; the tree itself is "". A path that is not there has no items. */
export type Manifest = ReadonlyMap<string, Item>;

export interface ManifestOptions {
  /** Contents of files whose names match are not read; theirs is empty. */
  readonly unread?: RegExp;
}

export async function manifestOf(root: string, options: ManifestOptions = {}): Promise<Manifest> {
  const found = new Map<string, Item>();
  await visit(root, "", options, found);
  return found;
}

async function visit(
  root: string,
  path: string,
  options: ManifestOptions,
  found: Map<string, Item>,
): Promise<void> {
  const whole = join(root, path);
  const named = await lstat(whole, { bigint: true }).catch(() => undefined);
  if (named === undefined) return;
  const unread = options.unread?.test(path.split("/").at(-1) ?? "") === true;
  const item =
    named.isFile() && !unread ? await readFileItem(whole) : itemOf(named, await linkTarget(whole, named));
  // What goes away between the two looks is as good as absent.
  if (item === undefined) return;
  found.set(path, item);
  if (item.kind !== "folder") return;
  for (const name of (await readdir(whole)).sort()) await visit(root, join(path, name), options, found);
}

/** Size and content through one descriptor: a server that lives on may just be replacing the file. */
async function readFileItem(path: string): Promise<Item | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const hash = createHash("sha256");
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: 1 << 20 })) {
      hash.update(chunk);
    }
    return itemOf(await file.stat({ bigint: true }), hash.digest("hex"));
  } finally {
    await file.close();
  }
}

async function linkTarget(path: string, stat: BigIntStats): Promise<string> {
  return stat.isSymbolicLink() ? await readlink(path).catch(() => "") : "";
}

function itemOf(stat: BigIntStats, content: string): Item {
  const kinds = [
    ["file", stat.isFile()],
    ["folder", stat.isDirectory()],
    ["link", stat.isSymbolicLink()],
  ] as const;
  const kind = kinds.find(([, is]) => is)?.[0] ?? "other";
  return {
    kind,
    content,
    size: kind === "folder" ? 0 : Number(stat.size),
    mode: Number(stat.mode & 0o7777n),
    mtimeNs: stat.mtimeNs,
    allocated: Number(stat.blocks) * 512,
  };
}

/** One line for each difference that a user can see; times of folders apart, which anything in them moves. */
export function changes(before: Manifest, after: Manifest): string[] {
  const lines: string[] = [];
  for (const [path, item] of before) {
    const now = after.get(path);
    const name = path || "(root)";
    if (now === undefined) lines.push(`${name}: gone`);
    else if (!sameContent(item, now)) lines.push(`${name}: not what it was`);
    else if (item.mode !== now.mode && item.kind !== "link") lines.push(`${name}: its mode changed`);
    else if (item.kind === "file" && item.mtimeNs !== now.mtimeNs) lines.push(`${name}: its mtime changed`);
  }
  for (const path of after.keys()) if (!before.has(path)) lines.push(`${path}: new`);
  return lines;
}

export function sameContent(a: Item, b: Item): boolean {
  return a.kind === b.kind && a.size === b.size && a.content === b.content;
}
