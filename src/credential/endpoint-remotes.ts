/** The remotes that are not Packetboat servers: their tables in remotes.toml, held to model/endpoint-kinds.ts. */

import { ENDPOINT_KINDS, type EndpointKind, type Setting } from "../model/endpoint.ts";
import { KINDS, type SettingSpec } from "../model/endpoint-kinds.ts";
import { PbError } from "../model/error.ts";
import { displayPath } from "../model/path.ts";
import {
  badTable,
  checkRemoteName,
  openRemoteTables,
  type Table,
  taken,
  unknownRemote,
} from "./remote-tables.ts";

export interface EndpointRemote {
  readonly name: string;
  readonly kind: EndpointKind;
  readonly settings: Readonly<Record<string, Setting>>;
  /** The entry of the store whose secrets are this remote's; default: the one of its own name. */
  readonly credential?: string;
}

export interface EndpointRemoteStore {
  /** Sorted by name. */
  list(): Promise<EndpointRemote[]>;
  /** Undefined when none has this name, or it is a Packetboat server. */
  find(name: string): Promise<EndpointRemote | undefined>;
  /** @throws PbError `exists` unless `replace`; `usage` for settings that its kind does not have */
  put(remote: EndpointRemote, options: { readonly replace: boolean }): Promise<void>;
  /** @throws PbError `unknown_remote` */
  remove(name: string): Promise<EndpointRemote>;
  /** @throws PbError `unknown_remote`, `exists` */
  rename(from: string, to: string): Promise<void>;
}

export function openEndpointRemotes(folder: string): EndpointRemoteStore {
  const tables = openRemoteTables(folder);

  function readOne(name: string, table: Table | undefined): EndpointRemote | undefined {
    if (table === undefined || table.type === "pb") return undefined;
    const { type, credential, allow: _, ...settings } = table;
    const kind = ENDPOINT_KINDS.find((each) => each === type);
    if (!kind) throw badTable(tables.file, name, `has a type that is none of ${ENDPOINT_KINDS.join(", ")}`);
    const wrong = problemOf(kind, settings);
    if (wrong !== undefined) throw badTable(tables.file, name, `of type ${kind}: ${wrong}`);
    return {
      name,
      kind,
      settings: settings as Record<string, Setting>,
      ...(typeof credential === "string" && { credential }),
    };
  }

  return {
    async list() {
      const all = [...(await tables.read())].flatMap(([name, table]) => readOne(name, table) ?? []);
      return all.sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    find: async (name) => readOne(name, (await tables.read()).get(name)),

    async put({ name, kind, settings, credential }, { replace }) {
      checkRemoteName(name);
      checkSettings(kind, settings);
      await tables.edit((all) => {
        if (all.has(name) && !replace) throw taken(name);
        all.set(name, { type: kind, ...settings, ...(credential !== undefined && { credential }) });
      });
    },

    remove: (name) =>
      tables.edit((all) => {
        const found = readOne(name, all.get(name));
        if (!found) throw unknownRemote(name, all.keys());
        all.delete(name);
        return found;
      }),

    async rename(from, to) {
      checkRemoteName(to);
      await tables.edit((all) => {
        const table = all.get(from);
        if (!readOne(from, table) || !table) throw unknownRemote(from, all.keys());
        if (all.has(to)) throw taken(to);
        all.delete(from);
        all.set(to, table);
      });
    },
  };
}

/** @throws PbError `usage` saying what the kind takes */
export function checkSettings(kind: EndpointKind, settings: Readonly<Record<string, unknown>>): void {
  const wrong = problemOf(kind, settings);
  if (wrong === undefined) return;
  const known = KINDS[kind].settings.map(({ name }) => name).join(", ");
  throw new PbError("usage", `a remote of kind ${kind}: ${wrong}`, { hint: `it takes ${known}` });
}

function problemOf(kind: EndpointKind, settings: Readonly<Record<string, unknown>>): string | undefined {
  const specs = KINDS[kind].settings;
  for (const [name, value] of Object.entries(settings)) {
    const spec = specs.find((each) => each.name === name);
    if (!spec) {
      const secret = KINDS[kind].secrets.some((each) => each.name === name);
      return secret
        ? `${name} is a secret: it is kept by pb credentials`
        : `there is no ${displayPath(name)}`;
    }
    if (!fits(spec, value)) return `${name} is ${wants(spec)}`;
  }
  const missing = specs.find(({ name, required }) => required && settings[name] === undefined);
  return missing && `${missing.name} is missing (${missing.about})`;
}

function fits({ type, choices }: SettingSpec, value: unknown): boolean {
  if (typeof value !== type) return false;
  return choices === undefined || choices.some((choice) => choice === value);
}

function wants({ type, choices }: SettingSpec): string {
  if (choices) return `one of ${choices.join(", ")}`;
  return type === "boolean" ? "true or false" : type === "number" ? "a number" : "a text";
}
