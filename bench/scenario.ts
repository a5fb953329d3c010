/** A piece of work that every peer does in turn. One file each in scenarios/. */
export interface Scenario {
  /** As on the command line. */
  readonly name: string;
  readonly title: string;
  /** Peers run when none are named. */
  readonly peers: readonly string[];
  /** Bytes that source and destination need together. */
  readonly spaceBytes: (quick: boolean) => number;
  /** Makes what is sent, below `folder`. */
  prepare(folder: string, quick: boolean): Promise<Work>;
}

export interface Work {
  readonly path: string;
  readonly kind: "file" | "folder";
  readonly bytes: number;
  readonly files: number;
  /** The figure people compare. */
  readonly unit: "Gbit/s" | "files/s";
}
