/** Where a job writes. */
export interface Target {
  /** `PathText` at the backend. */
  readonly path: string;
  /** `path` is the one file's own name, not a folder. */
  readonly exactName: boolean;
}
