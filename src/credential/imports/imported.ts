import type { Secret } from "../../model/endpoint.ts";
import type { EndpointRemote } from "../endpoint-remotes.ts";

/** What another program's file holds, in our terms. */
export interface Imported {
  readonly remotes: readonly EndpointRemote[];
  readonly credentials: readonly ImportedCredential[];
  /** What is there and was not taken, and why. */
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
}

export interface ImportedCredential {
  readonly name: string;
  readonly user?: string;
  readonly host?: string;
  readonly secrets: ReadonlyMap<string, Secret>;
}

/** A name of theirs as one of a remote's: what may not stand there becomes '-'. */
export function remoteNameOf(text: string): string {
  return text
    .replace(/[^A-Za-z0-9_.-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 64);
}
