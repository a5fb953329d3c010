/**
 * A disk in memory that forgets what was not synced, as strictly as POSIX allows: writes of a file since its last sync may be there or
 * not, each for itself and up to any byte; so may names of a folder since its last sync. `crashes` gives what a power cut may leave.
 */

export type Change =
  | { readonly kind: "write"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly size: number }
  | { readonly kind: "link"; readonly name: string; readonly node: number }
  | { readonly kind: "unlink"; readonly name: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string; readonly node: number };

interface FileNode {
  readonly type: "file";
  readonly durable: Uint8Array;
  readonly pending: readonly Change[];
}

interface FolderNode {
  readonly type: "folder";
  readonly durable: ReadonlyMap<string, number>;
  readonly pending: readonly Change[];
}

type Node = FileNode | FolderNode;

/** Something done to a node; all there is to know of a run. */
export type Operation =
  | { readonly node: number; readonly change: Change; readonly path: string }
  | { readonly node: number; readonly change: "sync"; readonly path: string };

export const ROOT = 0;
const EMPTY = new Uint8Array(0);

export class Disk {
  readonly nodes: Map<number, Node>;
  #next: number;

  constructor(nodes?: ReadonlyMap<number, Node>) {
    this.nodes = new Map(nodes ?? [[ROOT, { type: "folder", durable: new Map(), pending: [] }]]);
    this.#next = Math.max(...this.nodes.keys()) + 1;
  }

  copy(): Disk {
    return new Disk(this.nodes);
  }

  make(type: Node["type"]): number {
    const number = this.#next;
    this.#next += 1;
    this.put(number, type);
    return number;
  }

  put(number: number, type: Node["type"]): void {
    const empty: Node =
      type === "file" ? { type, durable: EMPTY, pending: [] } : { type, durable: new Map(), pending: [] };
    this.nodes.set(number, empty);
    this.#next = Math.max(this.#next, number + 1);
  }

  apply({ node, change }: Operation): void {
    const known = this.nodes.get(node) as Node;
    if (change !== "sync") this.nodes.set(node, { ...known, pending: [...known.pending, change] });
    else if (known.type === "file")
      this.nodes.set(node, { ...known, durable: this.content(node), pending: [] });
    else this.nodes.set(node, { ...known, durable: this.names(node), pending: [] });
  }

  /** As processes see it. */
  content(node: number): Uint8Array {
    const known = this.nodes.get(node) as FileNode;
    return known.pending.reduce(changeFile, known.durable);
  }

  names(node: number): ReadonlyMap<string, number> {
    const known = this.nodes.get(node) as FolderNode;
    if (known.pending.length === 0) return known.durable;
    const names = new Map(known.durable);
    for (const change of known.pending) changeFolder(names, change);
    return names;
  }

  find(path: string): number | undefined {
    let node: number | undefined = ROOT;
    for (const name of path.split("/").filter((part) => part !== "")) {
      if (node === undefined || this.nodes.get(node)?.type !== "folder") return undefined;
      node = this.names(node).get(name);
    }
    return node;
  }

  /** Everything that is not durable, oldest first within a node. */
  pending(): { readonly node: number; readonly change: Change }[] {
    return [...this.nodes].flatMap(([node, { pending }]) => pending.map((change) => ({ node, change })));
  }

  /** After a power cut that kept, of what was pending, what `keep` makes of it; undefined: it is lost. */
  crashed(keep: (change: Change, index: number) => Change | undefined): Disk {
    const disk = new Disk();
    let index = 0;
    for (const [number, node] of this.nodes) {
      const kept = node.pending.flatMap((change) => keep(change, index++) ?? []);
      const after = new Disk(new Map([[number, { ...node, pending: kept }]]));
      if (node.type === "file") {
        disk.nodes.set(number, { type: "file", durable: after.content(number), pending: [] });
      } else disk.nodes.set(number, { type: "folder", durable: after.names(number), pending: [] });
    }
    return disk.copy();
  }
}

function changeFile(bytes: Uint8Array, change: Change): Uint8Array {
  if (change.kind === "truncate") {
    const cut = new Uint8Array(change.size);
    cut.set(bytes.subarray(0, change.size));
    return cut;
  }
  if (change.kind !== "write") return bytes;
  const out = new Uint8Array(Math.max(bytes.length, change.at + change.bytes.length));
  out.set(bytes);
  out.set(change.bytes, change.at);
  return out;
}

function changeFolder(names: Map<string, number>, change: Change): void {
  if (change.kind === "link") names.set(change.name, change.node);
  if (change.kind === "unlink") names.delete(change.name);
  if (change.kind === "rename") {
    names.delete(change.from);
    names.set(change.to, change.node);
  }
}

export interface CrashChoice {
  /** Of the states in between, chosen by chance. */
  readonly random: number;
  /** Not each pending change for itself: all, none and chance. */
  readonly few?: boolean;
  /** Tear the last write at every byte; else at its ends and in the middle. */
  readonly everyByte: boolean;
  readonly chance: () => number;
}

/** What a power cut now may leave: nothing pending, all of it, all but one, one alone, torn writes, writes of zeros, and chance. */
export function* crashes(disk: Disk, { random, few, everyByte, chance }: CrashChoice): Generator<Disk> {
  const pending = disk.pending();
  yield disk.crashed(() => undefined);
  if (pending.length === 0) return;
  yield disk.crashed((change) => change);
  for (let one = 0; one < (few ? 0 : pending.length); one += 1) {
    if (pending.length > 1) {
      yield disk.crashed((change, index) => (index === one ? undefined : change));
      yield disk.crashed((change, index) => (index === one ? change : undefined));
    }
    const change = pending[one]?.change;
    if (change?.kind === "write") yield* tornWrites(disk, one, { everyByte, bytes: change.bytes });
  }
  for (let run = 0; run < random; run += 1) {
    yield disk.crashed((change) => {
      if (chance() < 0.5) return undefined;
      if (change.kind !== "write" || chance() < 0.5) return change;
      return { ...change, bytes: change.bytes.slice(0, Math.floor(chance() * change.bytes.length)) };
    });
  }
}

function* tornWrites(
  disk: Disk,
  one: number,
  { everyByte, bytes }: { everyByte: boolean; bytes: Uint8Array },
): Generator<Disk> {
  const count = bytes.length;
  const cuts = everyByte ? Array.from({ length: count }, (_, cut) => cut) : [1, count >> 1, count - 1];
  for (const cut of cuts) {
    const others = cut % 2 === 0;
    yield disk.crashed((change, index) => {
      if (index !== one || change.kind !== "write") return others ? change : undefined;
      return { ...change, bytes: change.bytes.slice(0, cut) };
    });
    if (cut % 4 > 0) continue;
    // The size is on disk, the content from here on is not.
    yield disk.crashed((change, index) => {
      if (index !== one || change.kind !== "write") return change;
      const zeros = change.bytes.slice();
      zeros.fill(0, cut);
      return { ...change, bytes: zeros };
    });
  }
}
