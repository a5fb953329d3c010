export interface Size {
  readonly quick: boolean;
  readonly full: boolean;
}

/** A piece of work that every peer does in turn. One file each in scenarios/. */
export interface Scenario {
  /** As on the command line. */
  readonly name: string;
  /** Peers run when none are named. */
  readonly peers: readonly string[];
  /** What the chart shows: the work's unit per second, or CPU seconds per GiB. */
  readonly chart: "rate" | "cpu";
  /** Resident memory and the rate of the first and the last tenth of the files are measured, too. */
  readonly endurance: boolean;
  /** Bytes that source and one destination need together. */
  readonly spaceBytes: (size: Size) => number;
  /** Makes what is sent, below `folder`. */
  prepare(folder: string, size: Size): Promise<Work>;
}

export interface Work {
  /** For the table. */
  readonly title: string;
  readonly path: string;
  readonly kind: "file" | "folder";
  readonly bytes: number;
  readonly files: number;
  /** The figure people compare. */
  readonly unit: "Gbit/s" | "files/s";
}
