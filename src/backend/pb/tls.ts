import { connect, type PeerCertificate, type TLSSocket } from "node:tls";
import { formatAddress, type HostPort } from "../../credential/address.ts";
import { fingerprintOf, isServerOf, parseCertificate } from "../../credential/certificate.ts";
import { PbError } from "../../model/error.ts";

/** Who is called, and what proves it. */
export interface ServerTrust {
  /** Shown in errors: the remote's name. */
  readonly peer: string;
  /** SHA-256 of the server's CA certificate, lower-case hex. */
  readonly fingerprint: string;
  /** The CA certificate itself, PEM. */
  readonly ca: string;
}

/** What this client proves itself with, PEM. */
export interface ClientIdentity {
  readonly key: string;
  readonly certificate: string;
}

export interface StartTlsOptions {
  readonly address: HostPort;
  readonly trust: ServerTrust;
  /** Absent only while enrolling. */
  readonly client?: ClientIdentity;
}

/** The name in the handshake; servers are told apart by their pinned CA, so it reveals nothing. */
const SERVER_NAME = "packetboat";

/** A TLS 1.3 connection that is usable only if the other end is the one server that `trust` names. */
export function startTls({ address, trust, client }: StartTlsOptions): TLSSocket {
  return named(
    connect({
      host: address.host,
      port: address.port,
      ca: trust.ca,
      ...(client && { key: client.key, cert: client.certificate }),
      minVersion: "TLSv1.3",
      ALPNProtocols: ["h2"],
      checkServerIdentity: (_name, certificate) => checkServer(certificate, trust),
    }),
  );
}

/**
 * What `servername` does, but for a test whether the name is an address: the pattern of IPv6 addresses takes Node 5 ms to compile. Without
 * the method, which is not documented, the handshake has no name, and servers do not ask for one.
 */
function named(socket: TLSSocket & { setServername?: (name: string) => void }): TLSSocket {
  socket.setServername?.(SERVER_NAME);
  return socket;
}

/** OpenSSL has proven the chain to the pinned CA and the use as a server; this asks whether it is *the* server's certificate. */
function checkServer(certificate: PeerCertificate, trust: ServerTrust): PbError | undefined {
  const authority = parseCertificate(trust.ca);
  const pinned = fingerprintOf(authority) === trust.fingerprint;
  const leaf = parseCertificate(certificate.raw);
  return pinned && leaf.checkIssued(authority) && isServerOf(leaf, trust.fingerprint)
    ? undefined
    : mismatch(trust.peer);
}

/**
 * The CA certificate that belongs to a fingerprint, as the server at `address` presents it. Nothing else about that server
 * is proven or trusted, and nothing is sent to it.
 *
 * @throws PbError `fingerprint_mismatch`, `unreachable`
 */
export async function fetchAuthority(
  address: HostPort,
  options: { readonly peer: string; readonly fingerprint: string; readonly signal: AbortSignal },
): Promise<string> {
  const { peer, fingerprint, signal } = options;
  const socket = connect({
    ...address,
    servername: SERVER_NAME,
    minVersion: "TLSv1.3",
    ALPNProtocols: ["h2"],
    rejectUnauthorized: false,
  });
  try {
    await secured(socket, { address, peer, signal });
    const found = chainOf(socket).find((raw) => fingerprintOf(parseCertificate(raw)) === fingerprint);
    if (found) return parseCertificate(found).toString();
    throw mismatch(peer, address);
  } finally {
    socket.destroy();
  }
}

/** A chain is two certificates here; more is no server of ours. */
const MAX_CHAIN = 4;

function chainOf(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let at = socket.getPeerCertificate(true);
  while (at?.raw && chain.length < MAX_CHAIN && !chain.some((raw) => raw.equals(at.raw))) {
    chain.push(at.raw);
    at = at.issuerCertificate;
  }
  return chain;
}

export interface SecuredOptions {
  readonly address: HostPort;
  readonly peer: string;
  readonly signal: AbortSignal;
}

/** Time for TCP and TLS, three round trips: enough for a satellite link with losses. */
const HANDSHAKE_MS = 10_000;

/** Resolves when the handshake is done and the server proven. @throws PbError, see `classify`; `aborted` */
export function secured(socket: TLSSocket, { address, peer, signal }: SecuredOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      fail(
        new PbError(
          "unreachable",
          `${formatAddress(address)} did not answer within ${HANDSHAKE_MS / 1000} s`,
        ),
      );
    }, HANDSHAKE_MS);
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.off("secureConnect", onSecure).off("error", fail).off("close", onClose);
    };
    const fail = (cause: unknown) => {
      settle();
      // A destroyed socket may still report; it has no listener any more.
      socket.on("error", () => {});
      socket.destroy();
      reject(classify(cause, peer, address));
    };
    const onAbort = () => fail(new PbError("aborted", "interrupted", { cause: signal.reason }));
    const onClose = () => fail(new PbError("unreachable", `${formatAddress(address)} hung up`));
    const onSecure = () => {
      settle();
      resolve();
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort);
    socket.once("secureConnect", onSecure).once("error", fail).once("close", onClose);
  });
}

/** OpenSSL's names, as Node gives them, for "not certified by the pinned CA for this use". */
const NOT_TRUSTED: ReadonlySet<string> = new Set([
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "CERT_REJECTED",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "HOSTNAME_MISMATCH",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

/** What went wrong on the way to a server, told apart so that the user knows what to do. */
export function classify(cause: unknown, peer: string, address?: HostPort): PbError {
  const known = causes(cause).find((each) => each instanceof PbError);
  if (known instanceof PbError) return known;
  const code = causes(cause)
    .map((each) => (each as { code?: unknown }).code)
    .find((each) => typeof each === "string");
  const at = address ? ` at ${formatAddress(address)}` : "";
  if (typeof code === "string" && NOT_TRUSTED.has(code)) return mismatch(peer, address, cause);
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    const when = code === "CERT_HAS_EXPIRED" ? "has ended" : "is not valid yet";
    const clock = `by this machine's clock, which says ${new Date().toISOString()}`;
    return new PbError("certificate_expired", `the certificate of the server${at} ${when} ${clock}`, {
      peer,
      cause,
      hint: "check the clocks of both machines (pb doctor); a server renews its certificate when it starts",
    });
  }
  if (typeof code === "string" && /^(ERR_SSL|ERR_TLS|EPROTO)/.test(code)) {
    return new PbError("unreachable", `what answers${at} is no Packetboat server`, { peer, cause });
  }
  if (code === "ECONNRESET" || code === "EPIPE") {
    return new PbError("connection_lost", `the connection to ${peer}${at} broke`, { peer, cause });
  }
  const why = typeof code === "string" ? code : cause instanceof Error ? cause.message : String(cause);
  return new PbError("unreachable", `${peer}${at} cannot be reached: ${why}`, {
    peer,
    cause,
    hint: "is the server running, and does a firewall let its port through (TCP and UDP)?",
  });
}

/** An error and what caused it, outermost first. */
function causes(value: unknown): Error[] {
  const chain: Error[] = [];
  for (let at = value; at instanceof Error && !chain.includes(at); at = at.cause) chain.push(at);
  return chain;
}

function mismatch(peer: string, address?: HostPort, cause?: unknown): PbError {
  const at = address ? ` at ${formatAddress(address)}` : "";
  return new PbError("fingerprint_mismatch", `the server${at} is not the one that was pinned for ${peer}`, {
    peer,
    cause,
    hint: "another server runs there, its state was lost, or someone is in between; ask its owner before adding it again",
  });
}
