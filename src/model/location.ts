import { endpointOfUrl, isUrlRemote, isUrlScheme } from "./endpoint-url.ts";
import { PbError } from "./error.ts";
import { pathBytes, pathText } from "./path.ts";

/**
 * Where something is: a path on this machine, on a remote, or a standard stream. `remote` is the name of a configured one, HOST:PORT of a
 * Packetboat server, `s3` for the buckets of this machine's own keys, or what of a URL is not its path
 * (`sftp://user@host`, `https://host:8443?query`).
 */
export type Location =
  | { readonly kind: "local"; readonly path: string }
  | { readonly kind: "remote"; readonly remote: string; readonly path: string }
  | { readonly kind: "stdio" };

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/**
 * What a user wrote, as a location. A ':' before the first '/' marks a remote (`box:/p`, `box:p`); `./a:b` is local;
 * `pb://host:port/path` names a configured remote by its address; `sftp://user@host/p`, `https://host/p` and the like need no remote;
 * `s3://bucket/p` is `s3:bucket/p`; `-` is standard input or output. Paths of URLs are percent-decoded, but not of pb: and s3:.
 *
 * @throws PbError `usage` for an empty text, a bad remote name, an unknown scheme, a password in a URL
 */
export function parseLocation(text: string): Location {
  if (text === "") throw new PbError("usage", "an empty location: name a path, REMOTE:PATH or -");
  if (text === "-") return { kind: "stdio" };
  const url = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text);
  if (url) return parseUrl(url[1] ?? "", url[2] ?? "");
  const colon = text.indexOf(":");
  const slash = text.indexOf("/");
  if (colon < 0 || (slash >= 0 && slash < colon)) return { kind: "local", path: text };
  const remote = text.slice(0, colon);
  if (!NAME.test(remote)) {
    throw new PbError("usage", `"${remote}" is not a remote's name; for a local path write ./${text}`, {
      peer: remote,
    });
  }
  return { kind: "remote", remote, path: normalRemotePath(text.slice(colon + 1)) };
}

function parseUrl(given: string, rest: string): Location {
  const scheme = given.toLowerCase();
  const slash = rest.search(/[/?]/);
  const host = slash < 0 ? rest : rest.slice(0, slash);
  const after = slash < 0 ? "" : rest.slice(slash);
  if (scheme === "s3") return { kind: "remote", remote: "s3", path: normalRemotePath(rest) };
  if (isUrlScheme(scheme)) {
    const [path = "", query] = splitOnce(after.replace(/#.*$/s, ""), "?");
    const remote = `${scheme}://${host}${query === undefined ? "" : `?${query}`}`;
    endpointOfUrl(remote);
    return { kind: "remote", remote, path: normalRemotePath(decodePath(path)) };
  }
  if (scheme !== "pb") {
    throw new PbError(
      "usage",
      `unknown scheme "${scheme}:"; use REMOTE:PATH, or pb, http, https, sftp, ftp, ftps, dav, davs, s3`,
    );
  }
  if (!/^(\[[0-9a-fA-F:.]+\]|[^:/@]+):\d{1,5}$/.test(host)) {
    const shown = host.replace(/^.*@/s, "");
    throw new PbError("usage", `pb://${shown}: expected pb://HOST:PORT/PATH`, { peer: shown });
  }
  return { kind: "remote", remote: host, path: normalRemotePath(after) };
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** Percent-decoded (RFC 3986); a '%' that encodes nothing stands for itself. @throws PbError `usage` for an encoded slash */
function decodePath(path: string): string {
  if (/%2f/i.test(path)) {
    throw new PbError("usage", `${path}: a name can't hold a slash, encoded (%2F) or not`, { path });
  }
  const bytes = Buffer.from(path, "utf8").toString("latin1");
  const decoded = bytes.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return pathText(Buffer.from(decoded, "latin1"));
}

/** What RFC 3986 lets stand in a path, less '%'; all else is encoded. */
const PLAIN = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g;

/** A path in a URL: bytes that may not stand there percent-encoded. */
export function encodePath(path: string): string {
  const bytes = Buffer.from(pathBytes(path)).toString("latin1");
  return bytes.replace(PLAIN, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

/** A remote's paths start at its root: `box:a/b` is `box:/a/b`. */
function normalRemotePath(path: string): string {
  return `/${path.replace(/^\/+/, "")}`;
}

/** As the user would write it; of a URL without the query, which may be a secret. */
export function formatLocation(location: Location): string {
  if (location.kind === "stdio") return "-";
  if (location.kind === "local") return location.path;
  if (isUrlRemote(location.remote)) {
    const [origin, query] = splitOnce(location.remote, "?");
    return `${origin}${encodePath(location.path)}${query === undefined ? "" : "?…"}`;
  }
  return location.remote.includes(":")
    ? `pb://${location.remote}${location.path}`
    : `${location.remote}:${location.path}`;
}
