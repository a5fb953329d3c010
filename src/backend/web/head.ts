import type { KnownVersion } from "../chunks.ts";

/** What a server says of one version of a file. */
export interface Version extends KnownVersion {
  /** Last-Modified as it was sent. */
  readonly modified?: string;
}

export interface Head extends Version {
  /** "yes" and "no" as the server says (Accept-Ranges); undefined when it does not. */
  readonly ranges?: "yes" | "no";
  /** The server sent us on to the same name with a slash: a folder. */
  readonly folder: boolean;
  readonly type: string;
}
