/** Who may issue tokens: a file of keys, read again when it changes, or a URL, asked again now and then. */

import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { PbError } from "../../model/error.ts";
import { fileError } from "../files.ts";
import { isEmptySet, parseKeys, type VerifyKey } from "./keys.ts";

export interface Issuer {
  /** What tokens must name as `iss`; undefined: the keys alone say who it is. */
  readonly name: string | undefined;
  /** Those of now. @param unknown a token names a key that is not among them: worth asking again */
  keys(unknown?: boolean): Promise<readonly VerifyKey[]>;
  /** Is this key still one of them, as far as is known? Starts to look again where that may have changed. */
  has(keyId: string): boolean;
}

/** Seconds; keys are asked for again after this, and when a token names an unknown one. OpenID Connect has no interval of its own. */
export const DEFAULT_REFRESH_SECONDS = 300;
/** Not more often than this, whatever tokens name; and so soon again when the issuer was not there. */
const COOLDOWN_MS = 30_000;
const TIMEOUT_MS = 10_000;
/** A call waits no longer for keys to be asked for again. */
const PATIENCE_MS = 3_000;
/** A JWKS has a few KiB. */
const MAX_BYTES = 1024 * 1024;

export interface IssuerOptions {
  /** Of a URL: how long its keys count before they are asked for again; default DEFAULT_REFRESH_SECONDS. */
  readonly refreshSeconds?: number | undefined;
  /** Told why the keys of a URL that are known could not be asked for again: they count on. */
  readonly onProblem?: ((source: string, error: PbError) => void) | undefined;
}

/** @throws PbError `usage` for a URL that is not https (but to this machine) */
export function openIssuer(source: string, options: IssuerOptions = {}): Issuer {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return fileIssuer(source);
  const { refreshSeconds = DEFAULT_REFRESH_SECONDS, onProblem } = options;
  const onStale = (cause: unknown) => onProblem?.(source, PbError.from(cause));
  return urlIssuer(checkUrl(source), { refreshMs: refreshSeconds * 1_000, onStale });
}

/** @param name what its tokens say as `iss` */
export function fileIssuer(file: string, name?: string): Issuer {
  let loaded: { readonly stamp: string; readonly keys: readonly VerifyKey[] } | undefined;

  /** "" when it is not there. */
  function stamp(): string {
    const found = statSync(file, { bigint: true, throwIfNoEntry: false });
    return found ? `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` : "";
  }

  async function keys(): Promise<readonly VerifyKey[]> {
    const now = stamp();
    if (loaded?.stamp === now) return loaded.keys;
    try {
      loaded = { stamp: now, keys: parseKeys(await readFile(file, "utf8"), file) };
      return loaded.keys;
    } catch (cause) {
      // What cannot be read vouches for nobody.
      loaded = undefined;
      throw fileError(cause, file);
    }
  }

  return {
    name,
    keys,
    has(id) {
      if (loaded?.stamp !== stamp()) keys().catch(() => undefined);
      return loaded?.keys.some((key) => key.id === id) === true;
    },
  };
}

function checkUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHere = url !== undefined && ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isHere)) return url;
  throw new PbError("usage", `--jwt-issuer ${text}: an issuer's keys come over https, or from a file`, {
    peer: "--jwt-issuer",
  });
}

/** A JWKS itself where the path says so; else the issuer, whose keys OpenID Connect Discovery tells. */
function urlIssuer(
  url: URL,
  { refreshMs, onStale }: { readonly refreshMs: number; readonly onStale: (cause: unknown) => void },
): Issuer {
  const isJwks = /\.json$|jwks/i.test(url.pathname);
  const name = url.href.replace(/\/$/, "");
  let known: readonly VerifyKey[] | undefined;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let dueMs = Number.NEGATIVE_INFINITY;
  const cooldownMs = Math.min(COOLDOWN_MS, refreshMs);
  let asking: Promise<readonly VerifyKey[]> | undefined;

  async function ask(): Promise<readonly VerifyKey[]> {
    const where = isJwks ? url.href : await discover(name);
    const text = await fetchText(where);
    // At the start a set without keys is somebody's mistake; later it ends what was signed with those it had.
    known = known !== undefined && isEmptySet(text) ? [] : parseKeys(text, where);
    return known;
  }

  function again(): Promise<readonly VerifyKey[]> {
    askedAtMs = performance.now();
    dueMs = askedAtMs + cooldownMs;
    asking ??= ask()
      .then((keys) => {
        dueMs = performance.now() + refreshMs;
        return keys;
      })
      .catch((cause: unknown) => {
        // An issuer that is away for a while does not shut everybody out.
        if (known === undefined) throw cause;
        onStale(cause);
        return known;
      })
      .finally(() => {
        asking = undefined;
      });
    return asking;
  }

  return {
    name: isJwks ? undefined : name,
    async keys(unknown = false) {
      const nowMs = performance.now();
      const isDue = nowMs > dueMs || (unknown && nowMs - askedAtMs > cooldownMs);
      if (known !== undefined && !isDue) return known;
      const asked = again();
      if (known === undefined) return asked;
      // What it says later counts from then on.
      return Promise.race([asked, sleep(PATIENCE_MS, known, { ref: false })]);
    },
    has(id) {
      if (performance.now() > dueMs) again().catch(() => undefined);
      return known?.some((key) => key.id === id) === true;
    },
  };
}

/** OpenID Connect Discovery 1.0, section 4: the document must be of the issuer that was asked for. */
async function discover(issuer: string): Promise<string> {
  const where = `${issuer}/.well-known/openid-configuration`;
  const found = objectIn(await fetchText(where));
  const same = typeof found.issuer === "string" && found.issuer.replace(/\/$/, "") === issuer;
  if (!same || typeof found.jwks_uri !== "string") {
    throw new PbError("unauthenticated", `${where} does not describe ${issuer}`, { peer: issuer });
  }
  return checkUrl(found.jwks_uri).href;
}

/** Of what is no JSON, an empty one. */
function objectIn(text: string): { readonly issuer?: unknown; readonly jwks_uri?: unknown } {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

async function fetchText(url: string): Promise<string> {
  try {
    // Who may sign is not for a redirect to decide.
    const answer = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok) throw new PbError("unreachable", `${url} answered ${answer.status}`, { peer: url });
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of answer.body ?? []) {
      size += part.length;
      if (size > MAX_BYTES) throw new PbError("invalid_argument", `${url} sends too much`, { peer: url });
      parts.push(Buffer.from(part));
    }
    return Buffer.concat(parts).toString("utf8");
  } catch (cause) {
    throw PbError.from(cause, "unreachable", { peer: url });
  }
}
