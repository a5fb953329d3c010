/** Another way to move files over this machine's loopback, or ours. One file each in peers/. */
export interface Peer {
  /** As in `--peers`. */
  readonly name: string;
  /** What it is, for the table. */
  readonly title: string;
  /** Why it cannot run here (not installed); undefined when it can. */
  whyNot(): string | undefined;
  /** Starts what it needs. `destination` is where its receiving side writes. */
  open(place: Place): Promise<OpenPeer>;
}

export interface Place {
  /** Holds `source/` and nothing that a peer changes. */
  readonly source: string;
  /** Empty before each run. */
  readonly destination: string;
  /** For configuration, keys, logs. */
  readonly scratch: string;
}

export interface OpenPeer {
  /** Moves the file, or the folder with its content, to below the destination. Resolves when it is done. */
  send(what: { readonly path: string; readonly kind: "file" | "folder" }): Promise<void>;
  /** Stops what `open` started. */
  close(): Promise<void>;
}
