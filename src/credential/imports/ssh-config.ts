/** `~/.ssh/config`: a remote of kind sftp for each host that is named without a pattern. Keys stay where they are. */

import type { Setting } from "../../model/endpoint.ts";
import type { EndpointRemote } from "../endpoint-remotes.ts";
import { type Imported, remoteNameOf } from "./imported.ts";

interface Block {
  readonly patterns: readonly string[];
  readonly options: Map<string, string>;
}

export interface SshConfigOptions {
  readonly home: string;
  /** The local user's name, for %u. */
  readonly user: string;
}

/** ssh_config(5): of several values for a host the first counts. `Match` blocks but `Match all` are not taken. */
export function importSshConfig(text: string, options: SshConfigOptions): Imported {
  const blocks = parse(text);
  const names = new Set(
    blocks.flatMap(({ patterns }) => patterns.filter((pattern) => !/[*?!]/.test(pattern))),
  );
  const remotes: EndpointRemote[] = [];
  const skipped: { name: string; why: string }[] = [];
  for (const host of names) {
    const name = remoteNameOf(host);
    const found = new Map<string, string>();
    for (const { patterns, options: given } of blocks) {
      if (!matches(patterns, host)) continue;
      for (const [key, value] of given) if (!found.has(key)) found.set(key, value);
    }
    const through = ["proxyjump", "proxycommand"].find((key) => (found.get(key) ?? "none") !== "none");
    if (through || name === "") {
      skipped.push({ name: host, why: through ? `it is reached by ${through}` : "no name for a remote" });
      continue;
    }
    remotes.push({ name, kind: "sftp", settings: settingsOf(host, found, options) });
  }
  return { remotes, credentials: [], skipped };
}

function settingsOf(
  host: string,
  found: ReadonlyMap<string, string>,
  { home, user }: SshConfigOptions,
): Record<string, Setting> {
  const hostname = (found.get("hostname") ?? host).replaceAll("%h", host).replaceAll("%%", "%");
  const remoteUser = found.get("user");
  const expand = (path: string) =>
    path
      .replace(/^~(?=\/)/, home)
      .replaceAll("%d", home)
      .replaceAll("%h", hostname)
      .replaceAll("%u", user)
      .replaceAll("%r", remoteUser ?? user)
      .replaceAll("%%", "%");
  const settings: Record<string, Setting> = { host: hostname };
  const port = Number(found.get("port") ?? 22);
  if (port !== 22) settings.port = port;
  if (remoteUser) settings.user = remoteUser;
  const key = found.get("identityfile");
  if (key && key !== "none") settings.key_file = expand(key);
  const known = found.get("userknownhostsfile")?.split(/\s+/)[0];
  if (known && known !== "/dev/null") settings.known_hosts = expand(known);
  if (found.get("identitiesonly") === "yes") settings.agent = false;
  return settings;
}

function parse(text: string): Block[] {
  const blocks: Block[] = [{ patterns: ["*"], options: new Map() }];
  for (const line of text.split(/\r?\n/)) {
    const [, key, rest] = /^\s*([A-Za-z]\w*)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || rest === undefined) continue;
    const value = /^"(.*)"$/.exec(rest)?.[1] ?? rest;
    const keyword = key.toLowerCase();
    if (keyword === "host") blocks.push({ patterns: value.split(/\s+/), options: new Map() });
    else if (keyword === "match") {
      blocks.push({ patterns: value.toLowerCase() === "all" ? ["*"] : [], options: new Map() });
    } else {
      const { options } = blocks.at(-1) as Block;
      if (!options.has(keyword)) options.set(keyword, value);
    }
  }
  return blocks;
}

function matches(patterns: readonly string[], host: string): boolean {
  const fits = (pattern: string) => {
    const source = pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".");
    return new RegExp(`^${source}$`, "i").test(host);
  };
  if (patterns.some((pattern) => pattern.startsWith("!") && fits(pattern.slice(1)))) return false;
  return patterns.some((pattern) => !pattern.startsWith("!") && fits(pattern));
}
