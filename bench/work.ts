/** What is moved. */

export interface Size {
  readonly quick: boolean;
  readonly full: boolean;
}

/** What a chart shows: the work's unit per second, or CPU seconds per GiB. */
export type Charted = "rate" | "cpu";

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
