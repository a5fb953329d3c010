/** What a listing or a stat gives. */
export interface Entry {
  /** `PathText`, relative to what was listed, no leading slash; "" for the thing itself. */
  readonly path: string;
  readonly kind: EntryKind;
  /** Bytes; 0 for anything but a file. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Permission bits, 07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** `PathText`; only of a symbolic link. */
  readonly linkTarget?: string;
  /** With `device` the file's identity on its host; absent where the endpoint has none. */
  readonly inode?: bigint;
  readonly device?: bigint;
}

/** "other": devices, FIFOs, sockets. They are listed, never transferred. */
export type EntryKind = "file" | "directory" | "symlink" | "other";
