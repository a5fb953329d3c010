/** `FOLDER/remotes.toml`: one table for each remote, of whatever kind; no secrets. */

import { join } from "node:path";
import { parse, stringify, type TomlTable } from "smol-toml";
import { PbError } from "../model/error.ts";
import { displayPath } from "../model/path.ts";
import { mostSimilar } from "../model/similar.ts";
import { ensurePrivateFolder, readSecret, replaceFile } from "./files.ts";
import { withLock } from "./lock.ts";

export type Table = Readonly<Record<string, unknown>>;

export interface RemoteTables {
  readonly file: string;
  read(): Promise<Map<string, Table>>;
  /** One edit at a time over all processes; what `change` throws leaves the file as it was. */
  edit<T>(change: (tables: Map<string, Table>) => T | Promise<T>): Promise<T>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** @throws PbError `usage` */
export function checkRemoteName(name: string): void {
  if (NAME.test(name)) return;
  throw new PbError(
    "usage",
    `"${name}" cannot name a remote: letters, digits, '.', '_' and '-', 64 at most`,
    { peer: name },
  );
}

/** For a check before an invite is spent. */
export function taken(name: string): PbError {
  return new PbError("exists", `a remote named ${name} is there already`, {
    peer: name,
    hint: `pb remote add --replace ${name} ..., or choose another name`,
  });
}

/** @param known those there are */
export function unknownRemote(name: string, known: Iterable<string>): PbError {
  const similar = mostSimilar(name, known);
  const asked = similar === undefined ? "" : `did you mean ${similar}? `;
  return new PbError("unknown_remote", `no remote is called ${displayPath(name)}`, {
    peer: name,
    hint: `${asked}pb remote list shows those there are; pb remote add makes one`,
  });
}

export function badTable(file: string, name: string, why = "is not a whole remote"): PbError {
  return new PbError("invalid_argument", `${file}: the table [${displayPath(name)}] ${why}`, {
    path: file,
    hint: "mend it, or remove the table and add the remote again",
  });
}

/** The clients of a server that may use this remote of its: ids, or "*". None unless the table says so. */
export function allowedClients({ allow }: Table): readonly string[] {
  return Array.isArray(allow) ? allow.filter((each): each is string => typeof each === "string") : [];
}

export function openRemoteTables(folder: string): RemoteTables {
  const file = join(folder, "remotes.toml");
  const tables: RemoteTables = {
    file,

    async read() {
      let text: string;
      try {
        text = await readSecret(file);
      } catch (error) {
        if (error instanceof PbError && error.code === "not_found") return new Map();
        throw error;
      }
      return parseTables(text, file);
    },

    async edit(change) {
      await ensurePrivateFolder(folder);
      return withLock(join(folder, "remotes.lock"), async () => {
        const all = await tables.read();
        const result = await change(all);
        await replaceFile(file, stringify(Object.fromEntries(all) as TomlTable));
        return result;
      });
    },
  };
  return tables;
}

function parseTables(text: string, file: string): Map<string, Table> {
  let all: Record<string, unknown>;
  try {
    all = parse(text);
  } catch (cause) {
    // Only the first line: those after it quote the file.
    const why = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new PbError("invalid_argument", `${file} is not valid TOML: ${why}`, { path: file });
  }
  return new Map(
    Object.entries(all).map(([name, table]) => {
      if (!NAME.test(name) || typeof table !== "object" || table === null) throw badTable(file, name);
      return [name, table as Table];
    }),
  );
}
