/** The invariants of a transfer, looked at from outside (I1 to I6). Each check gives its violations, one line each. */
import { basename } from "node:path";
import { changes, type Item, type Manifest, manifestOf, sameContent } from "./manifest.ts";

/** Names of what is not whole yet. */
export const PART = /^\.pb-.*\.part$/;

/** What the oracle knows of a job before it began. */
export interface Truth {
  readonly sourcePath: string;
  readonly source: Manifest;
  readonly destinationPath: string;
  /** What the destination held before: an older version may stay until the new one is whole. */
  readonly destination: Manifest;
  /** A tree outside of both, that a link in the source points to. */
  readonly canaryPath: string;
  readonly canary: Manifest;
  readonly move: boolean;
}

/** What a killed transfer left at the destination. */
export interface Remains {
  readonly violations: readonly string[];
  /** Whole under their final names, bytes. */
  readonly finishedBytes: number;
  /** In blocks of parts, bytes. */
  readonly partBytes: number;
  readonly parts: readonly string[];
}

/** After a kill, at any instant: I2, I3, I5. */
export async function afterKill(truth: Truth): Promise<Remains> {
  const [source, destination] = await Promise.all([
    manifestOf(truth.sourcePath),
    manifestOf(truth.destinationPath, { unread: PART }),
  ]);
  const violations = [
    ...finalNames(truth, destination),
    ...copies(truth, source, destination),
    ...(await canary(truth)),
  ];
  let finishedBytes = 0;
  let partBytes = 0;
  const parts: string[] = [];
  for (const [path, item] of destination) {
    if (PART.test(basename(path))) {
      parts.push(path);
      partBytes += item.allocated;
    } else if (item.kind === "file" && isNew(truth, path, item)) finishedBytes += item.size;
  }
  return { violations, finishedBytes, partBytes, parts };
}

/** After the same command again: I1, I3, I5, and nothing left over. */
export async function afterDone(truth: Truth): Promise<string[]> {
  const [source, destination] = await Promise.all([
    manifestOf(truth.sourcePath),
    manifestOf(truth.destinationPath, { unread: PART }),
  ]);
  const whole = new Map([...destination].filter(([path]) => !PART.test(basename(path))));
  const violations = changes(truth.source, whole).map((line) => `I1: destination: ${line}`);
  const parts = [...destination.keys()].filter((path) => PART.test(basename(path)));
  if (parts.length > 0) violations.push(`${parts.length} parts are left at the destination: ${parts[0]}`);
  if (truth.move) {
    const left = [...source].filter(([, item]) => item.kind !== "folder");
    violations.push(...left.map(([path]) => `move: ${path} is still at the source`));
  } else violations.push(...changes(truth.source, source).map((line) => `I3: source: ${line}`));
  return [...violations, ...(await canary(truth))];
}

/** I2: a final name is absent, as it was before, or whole. */
function finalNames(truth: Truth, destination: Manifest): string[] {
  const violations: string[] = [];
  for (const [path, item] of destination) {
    if (PART.test(basename(path))) continue;
    const before = truth.destination.get(path);
    if (before !== undefined && sameContent(before, item)) continue;
    const wanted = truth.source.get(path);
    if (wanted === undefined) violations.push(`I2: ${path} is neither of the source nor a part`);
    else if (!sameContent(wanted, item)) violations.push(`I2: ${path} has its final name and is not whole`);
    else if (item.kind === "file" && (wanted.mode !== item.mode || wanted.mtimeNs !== item.mtimeNs)) {
      violations.push(`I2: ${path} has its final name before its mode and time`);
    }
  }
  for (const [path, item] of truth.destination) {
    if (item.kind === "file" && !destination.has(path)) violations.push(`I2: the older ${path} is gone`);
  }
  return violations;
}

/** I3: each file is whole at the source, or (moved) at the destination. */
function copies(truth: Truth, source: Manifest, destination: Manifest): string[] {
  if (!truth.move) return changes(truth.source, source).map((line) => `I3: source: ${line}`);
  const violations: string[] = [];
  for (const [path, wanted] of truth.source) {
    if (wanted.kind === "folder") continue;
    const whole = [source.get(path), destination.get(path)].some(
      (item) => item !== undefined && sameContent(wanted, item),
    );
    if (!whole) violations.push(`I3: ${path} is whole neither at the source nor at the destination`);
  }
  return violations;
}

function isNew(truth: Truth, path: string, item: Item): boolean {
  const wanted = truth.source.get(path);
  return wanted !== undefined && sameContent(wanted, item);
}

/** I5. */
async function canary(truth: Truth): Promise<string[]> {
  const lines = changes(truth.canary, await manifestOf(truth.canaryPath));
  return lines.map((line) => `I5: canary: ${line}`);
}
