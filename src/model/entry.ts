/** What a listing or a stat gives. */
export interface Entry {
  /** `PathText`, relative to what was listed, no leading slash; "" for the thing itself. */
  readonly path: string;
  readonly kind: EntryKind;
  /** Bytes; 0 for anything but a file. */
  readonly size: number;
  /** Nanoseconds since 1970; 0 where the endpoint does not tell. */
  readonly mtimeNs: bigint;
  /** Permission bits, 07777; where the endpoint has none, 0644 of files and 0755 of folders. */
  readonly mode: number;
  /** 0 where the endpoint tells no owner. */
  readonly uid: number;
  readonly gid: number;
  /** The endpoint does not tell it: `mode` is what a copy gets. */
  readonly modeUnknown?: true;
  readonly ownerUnknown?: true;
  /** `PathText`; only of a symbolic link. */
  readonly linkTarget?: string;
  /** With `device` the file's identity on its host; absent where the endpoint has none. */
  readonly inode?: bigint;
  readonly device?: bigint;
  /** Where the endpoint has one, what tells this version of the content from others (an ETag, a version id), and changes with it. */
  readonly version?: string;
}

/** Of an endpoint that keeps neither modes nor owners. */
export function untold(kind: "file" | "directory") {
  const mode = kind === "file" ? 0o644 : 0o755;
  return { mode, uid: 0, gid: 0, modeUnknown: true, ownerUnknown: true } as const;
}

/** "other": devices, FIFOs, sockets. They are listed, never transferred. */
export type EntryKind = "file" | "directory" | "symlink" | "other";
