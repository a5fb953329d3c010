/** `.netrc`: passwords by host, for URLs. */

import { Secret } from "../../model/endpoint.ts";
import type { Imported, ImportedCredential } from "./imported.ts";

/** Tokens are separated by white space; `macdef` goes on to the next empty line; a token in quotes may hold white space. */
export function importNetrc(text: string): Imported {
  const tokens = text
    .replace(/^\s*macdef\b[\s\S]*?(\n\s*\n|$(?![\s\S]))/gm, "\n")
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n")
    .match(/"(?:[^"\\]|\\.)*"|\S+/g);
  const machines: { host: string; login?: string; password?: string }[] = [];
  const skipped: { name: string; why: string }[] = [];
  let hosts = 0;
  const all = (tokens ?? []).map((token) =>
    token.startsWith('"') ? token.slice(1, -1).replace(/\\(.)/g, "$1") : token,
  );
  for (let at = 0; at < all.length; at += 1) {
    const word = all[at];
    const current = machines.at(-1);
    if (word === "machine") machines.push({ host: (all[++at] ?? "").toLowerCase() });
    else if (word === "default") {
      machines.push({ host: "" });
      hosts += 1;
    } else if (word === "login" && current) current.login = all[++at] ?? "";
    else if (word === "password" && current) current.password = all[++at] ?? "";
    else if (word === "account") at += 1;
  }
  if (hosts > 0) skipped.push({ name: "default", why: "a password for any host is given to none" });
  const credentials: ImportedCredential[] = [];
  for (const { host, login, password } of machines) {
    if (host === "") continue;
    if (!password) {
      skipped.push({ name: host, why: "it has no password" });
      continue;
    }
    credentials.push({
      name: login ? `${login}@${host}`.replace(/[^A-Za-z0-9_.@:-]+/g, "-") : host,
      host,
      ...(login && { user: login }),
      secrets: new Map([["password", new Secret(password)]]),
    });
  }
  return { remotes: [], credentials, skipped };
}
