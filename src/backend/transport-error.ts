/** What undici, or the connection below it, has failed with. */
import { codeOfConnection } from "../model/errno.ts";
import { type ErrorCode, PbError } from "../model/error.ts";

/** undici's own names. */
const OF_UNDICI: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_CONNECT_TIMEOUT: "timeout",
  UND_ERR_HEADERS_TIMEOUT: "timeout",
  UND_ERR_BODY_TIMEOUT: "timeout",
};

export interface At {
  readonly path: string;
  /** The remote's name. */
  readonly peer: string;
}

/** No answer, or not all of it. */
export function transportError(caught: unknown, at: At): PbError {
  if (caught instanceof PbError) return caught;
  const { code, message, certificate } = failureOf(caught);
  if (certificate) {
    return new PbError("unauthenticated", `${at.peer}: the server's certificate is not trusted (${code})`, {
      ...at,
      hint: "set the remote's ca_file to the authority that signed it",
      cause: caught,
    });
  }
  const known = codeOfConnection(code) ?? OF_UNDICI[code] ?? "connection_lost";
  return new PbError(known, `${at.peer}: ${message}`, { ...at, cause: caught });
}

function failureOf(caught: unknown): {
  readonly code: string;
  readonly message: string;
  readonly certificate: boolean;
} {
  const seen = caught as {
    readonly code?: unknown;
    readonly message?: unknown;
    readonly cause?: unknown;
  } | null;
  const code = typeof seen?.code === "string" ? seen.code : "";
  if (code === "" && seen?.cause !== undefined) return failureOf(seen.cause);
  const message = typeof seen?.message === "string" && seen.message !== "" ? seen.message : code;
  return { code, message, certificate: /CERT|SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)/.test(code) };
}
