/** Endpoints that are named by a URL instead of a remote: which kind its scheme is, and what it says of them. */

import type { EndpointKind, Setting } from "./endpoint.ts";
import { PbError } from "./error.ts";

/** Schemes of `SCHEME://HOST/PATH`; `pb` and `s3` have forms of their own (location.ts). */
const SCHEMES: Readonly<Record<string, EndpointKind>> = {
  http: "http",
  https: "http",
  sftp: "sftp",
  ftp: "ftp",
  ftps: "ftp",
  dav: "webdav",
  davs: "webdav",
};

export interface UrlEndpoint {
  readonly kind: EndpointKind;
  /** Named as in a remote's table (endpoint-kinds.ts); `query` is sent with every request to a web server. */
  readonly settings: Readonly<Record<string, Setting>>;
}

export function isUrlScheme(scheme: string): boolean {
  return Object.hasOwn(SCHEMES, scheme);
}

/** Is this the `remote` of a location that was given as a URL? */
export function isUrlRemote(remote: string): boolean {
  return remote.includes("://");
}

/**
 * What `SCHEME://[USER@]HOST[:PORT][?QUERY]`, the `remote` of such a location, says.
 *
 * @throws PbError `usage` for an unknown scheme or no host, and for a password: it would be in every list of processes
 */
export function endpointOfUrl(remote: string): UrlEndpoint {
  const match =
    /^([a-z][a-z0-9+.-]*):\/\/(?:([^@/?]*)@)?(\[[0-9a-f:.%]+\]|[^:@/?[\]]+)(?::(\d{1,5}))?(?:\?(.*))?$/is.exec(
      remote,
    );
  const scheme = match?.[1]?.toLowerCase() ?? "";
  const kind = SCHEMES[scheme];
  const [user, host, port, query] = [match?.[2] ?? "", match?.[3] ?? "", match?.[4], match?.[5]];
  if (kind === undefined || host === "" || Number(port ?? 0) > 65_535) {
    const shown = withoutSecrets(remote);
    throw new PbError("usage", `${shown} is not of the form SCHEME://[USER@]HOST[:PORT]/PATH`, {
      peer: shown,
    });
  }
  if (user.includes(":")) {
    throw new PbError("usage", `${scheme}://${host}: a password does not belong in a URL`, {
      peer: host,
      hint: `pb remote add NAME --type ${kind} asks for it, or takes it from standard input`,
    });
  }
  const name = user === "" ? {} : { user: decoded(user) };
  if (kind === "http" || kind === "webdav") {
    const secure = scheme === "https" || scheme === "davs";
    const url = `${secure ? "https" : "http"}://${host}${port === undefined ? "" : `:${port}`}`;
    return { kind, settings: { url, ...name, ...(query === undefined ? {} : { query }) } };
  }
  const settings = { host: host.replace(/^\[|\]$/g, ""), ...name, ...(port && { port: Number(port) }) };
  if (kind !== "ftp") return { kind, settings };
  // Only to nobody in particular in clear: a password would follow a name.
  const tls = scheme === "ftps" ? "implicit" : user === "" ? "off" : "explicit";
  return { kind, settings: { ...settings, tls } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Without the user and the query, either of which may be a secret. */
function withoutSecrets(remote: string): string {
  return remote.replace(/\/\/[^@/]*@/, "//").replace(/\?.*$/s, "");
}
