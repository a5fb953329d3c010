import { homedir } from "node:os";
import { resolve } from "node:path";
import { ENDPOINT_KINDS, type EndpointKind, type Setting } from "../../model/endpoint.ts";
import { KINDS, problemOf, type SettingSpec } from "../../model/endpoint-kinds.ts";
import { endpointOfUrl, isUrlRemote } from "../../model/endpoint-url.ts";
import { PbError } from "../../model/error.ts";
import { parseLocation } from "../../model/location.ts";

export interface Wish {
  readonly kind: EndpointKind;
  readonly settings: Readonly<Record<string, Setting>>;
}

/** A word that names a kind, or a URL. Undefined for what is neither. @throws PbError `usage` for a password in a URL */
export function parseTarget(word: string): Wish | undefined {
  const kind = ENDPOINT_KINDS.find((each) => each === word);
  if (kind) return { kind, settings: {} };
  if (!isUrlRemote(word)) return undefined;
  const location = parseLocation(word);
  if (location.kind !== "remote") return undefined;
  const { remote, path } = location;
  if (/^pb:/i.test(word)) return { kind: "pb", settings: { address: remote } };
  if (remote === "s3") {
    const [bucket = "", ...rest] = path.slice(1).split("/");
    const below = rest.join("/");
    return { kind: "s3", settings: { ...(bucket && { bucket }), ...(below && { path: below }) } };
  }
  const found = endpointOfUrl(remote);
  if (found.settings.query !== undefined) {
    throw new PbError("usage", "the query of a URL goes with one request; a remote has none", {
      peer: remote.split("?")[0] ?? "",
    });
  }
  if (path === "/") return found;
  const { url } = found.settings;
  const settings = typeof url === "string" ? { url: `${url}${encodeURI(path)}` } : { path };
  return { kind: found.kind, settings: { ...found.settings, ...settings } };
}

/** NAME=VALUE words as settings of a kind. @throws PbError `usage`; a secret's value is not repeated */
export function parseSettings(kind: EndpointKind, words: readonly string[]): Record<string, Setting> {
  return Object.fromEntries(words.map((word) => parseSetting(kind, word)));
}

function parseSetting(kind: EndpointKind, word: string): [string, Setting] {
  const at = word.indexOf("=");
  const name = at < 0 ? word : word.slice(0, at);
  const value = at < 0 ? "true" : word.slice(at + 1);
  const { settings, secrets } = KINDS[kind];
  if (secrets.some((each) => each.name === name)) {
    throw new PbError(
      "usage",
      `--set ${name}=...: a secret on the command line is seen by every process here`,
      {
        peer: "--set",
        hint: `--stdin ${name} reads it from standard input; consider the one given here as known to others`,
      },
    );
  }
  const spec = settings.find((each) => each.name === name);
  if (!spec) {
    const known = settings.map((each) => each.name).join(", ");
    throw new PbError("usage", `--set: a remote of kind ${kind} has no ${name}`, {
      peer: "--set",
      hint: `it takes ${known}`,
    });
  }
  const problem = problemOf(spec, value);
  if (problem !== undefined) throw new PbError("usage", `--set ${name}: ${problem}`, { peer: "--set" });
  return [name, settingOf(spec, value)];
}

/** With paths of files as they are from anywhere: commands run in other folders later. */
export function settled({ kind, settings }: Wish, cwd: string): Record<string, Setting> {
  const files = new Set(
    KINDS[kind].settings.flatMap(({ name, format }) => (format === "file" ? [name] : [])),
  );
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => {
      const isFile = files.has(name) && typeof value === "string" && value !== "";
      return [name, isFile ? resolve(cwd, value.replace(/^~(?=\/|$)/, homedir())) : value];
    }),
  );
}

/** Of a text that `problemOf` has nothing to say of. */
export function settingOf({ type }: Pick<SettingSpec, "type">, text: string): Setting {
  if (type === "string") return text;
  return type === "number" ? Number(text) : text === "true";
}
