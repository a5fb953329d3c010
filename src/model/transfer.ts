/** What a transfer may be told; all resolved (defaults in `resolveOptions`), sizes in bytes, times in seconds. */
export interface TransferOptions {
  /** Ordered; the first match decides; nothing matched: included. */
  readonly filters: readonly FilterRule[];
  /** When not empty: only these paths (`PathText`), relative to the source. */
  readonly filesFrom: readonly string[];
  readonly minSize?: number;
  readonly maxSize?: number;
  readonly minAgeSeconds?: number;
  readonly maxAgeSeconds?: number;
  readonly overwrite: Overwrite;
  readonly transport: TransportChoice;
  /** 0: chosen. */
  readonly parallelFiles: number;
  /** 0: chosen. */
  readonly lanes: number;
  /** Power of two, 64 KiB to 1 MiB; 0: chosen. */
  readonly chunkBytes: number;
  /** 0: unlimited. */
  readonly limitBytesPerSecond: number;
  /** Buffer memory of each side. */
  readonly memoryBytes: number;
  readonly seal: boolean;
  readonly fsync: boolean;
  readonly perms: boolean;
  readonly owner: boolean;
  readonly follow: boolean;
  /** "" : chosen. */
  readonly controller: "" | "bbr" | "cubic" | "ledbat";
  /** Verify at the destination, write nothing there. */
  readonly discard: boolean;
  /** Read again at the destination what was written, and compare. */
  readonly reread: boolean;
}

export interface FilterRule {
  readonly include: boolean;
  /** picomatch glob: without a slash it matches a name at any depth, with one the path from the source's top. */
  readonly pattern: string;
}

export type Overwrite = "always" | "if-newer" | "if-different" | "never";
export type TransportChoice = "auto" | "udp" | "tcp";
export type TransportUsed = "udp" | "tcp" | "memory";

/** 256 MiB: fills 1 Gbit/s at 2 s, 10 Gbit/s at 200 ms. */
export const DEFAULT_MEMORY_BYTES = 256 * 1024 * 1024;
/** Below this the pipelines cannot overlap reading, sending and writing. */
export const MIN_MEMORY_BYTES = 8 * 1024 * 1024;

const DEFAULTS: TransferOptions = {
  filters: [],
  filesFrom: [],
  overwrite: "if-different",
  transport: "auto",
  parallelFiles: 0,
  lanes: 0,
  chunkBytes: 0,
  limitBytesPerSecond: 0,
  memoryBytes: DEFAULT_MEMORY_BYTES,
  seal: true,
  fsync: true,
  perms: true,
  owner: false,
  follow: false,
  controller: "",
  discard: false,
  reread: false,
};

/** Fills in the defaults; the caller's object stays untouched. */
export function resolveOptions(given: Partial<TransferOptions> = {}): TransferOptions {
  return { ...DEFAULTS, ...given };
}
