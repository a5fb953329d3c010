import { PbError } from "./error.ts";

/** Where something is: a path on this machine, on a configured remote, or a standard stream. */
export type Location =
  | { readonly kind: "local"; readonly path: string }
  | { readonly kind: "remote"; readonly remote: string; readonly path: string }
  | { readonly kind: "stdio" };

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/**
 * What a user wrote, as a location. A ':' before the first '/' marks a remote (`box:/p`, `box:p`); `./a:b` is local;
 * `pb://host:port/path` names a configured remote by its address; `-` is standard input or output.
 *
 * @throws PbError `usage` for an empty text, a bad remote name, an unknown scheme
 */
export function parseLocation(text: string): Location {
  if (text === "") throw new PbError("usage", "an empty location: name a path, REMOTE:PATH or -");
  if (text === "-") return { kind: "stdio" };
  const url = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text);
  if (url) return parseUrl(text, url[1] ?? "", url[2] ?? "");
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

function parseUrl(text: string, scheme: string, rest: string): Location {
  if (scheme.toLowerCase() !== "pb") {
    throw new PbError(
      "usage",
      `unknown scheme "${scheme}:" in ${text}; use REMOTE:PATH or pb://HOST:PORT/PATH`,
    );
  }
  const slash = rest.indexOf("/");
  const host = slash < 0 ? rest : rest.slice(0, slash);
  if (!/^(\[[0-9a-fA-F:.]+\]|[^:/@]+):\d{1,5}$/.test(host)) {
    throw new PbError("usage", `${text}: expected pb://HOST:PORT/PATH`, { peer: host });
  }
  return { kind: "remote", remote: host, path: normalRemotePath(slash < 0 ? "" : rest.slice(slash)) };
}

/** A remote's paths start at its root: `box:a/b` is `box:/a/b`. */
function normalRemotePath(path: string): string {
  return `/${path.replace(/^\/+/, "")}`;
}

/** As the user would write it. */
export function formatLocation(location: Location): string {
  if (location.kind === "stdio") return "-";
  if (location.kind === "local") return location.path;
  return location.remote.includes(":")
    ? `pb://${location.remote}${location.path}`
    : `${location.remote}:${location.path}`;
}
