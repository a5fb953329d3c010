import { resolve } from "node:path";
import { PbError } from "../model/error.ts";

export interface RootSpec {
  /** "" for the one at "/". */
  readonly name: string;
  /** Absolute. */
  readonly directory: string;
}

const NAMED = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})=(.+)$/s;

/**
 * `DIR` or `NAME=DIR`, in any order; a directory whose own name has a '=' is written with a slash before it (./a=b).
 *
 * @throws PbError `usage` for none, an empty directory, two of one name
 */
export function parseRoots(texts: readonly string[], cwd = process.cwd()): RootSpec[] {
  if (texts.length === 0) throw new PbError("usage", "a server needs a folder to serve: --root DIR");
  const specs = texts.map((text) => parseRoot(text, cwd));
  for (const [index, { name }] of specs.entries()) {
    if (specs.findIndex((other) => other.name === name) === index) continue;
    const what = name === "" ? "two roots without a name" : `two roots called ${name}`;
    throw new PbError("usage", `${what}; give each its own: --root NAME=DIR`);
  }
  return specs;
}

function parseRoot(text: string, cwd: string): RootSpec {
  const named = NAMED.exec(text);
  const [name, directory] = named ? [named[1] ?? "", named[2] ?? ""] : ["", text];
  if (directory === "") throw new PbError("usage", `--root "${text}" names no directory`);
  return { name, directory: resolve(cwd, directory) };
}
