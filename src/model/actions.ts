/**
 * What the command line asks for besides files and transfers. Implemented in daemon/, handed to the commands by cli/main.ts:
 * commands import only model/ and gen/.
 */

import type { EndpointKind, Secret, Setting } from "./endpoint.ts";
import type { ErrorCode } from "./error.ts";

/** Of the longest token that a server looks at: a header line of HTTP/2 holds 16 KiB there. */
export const MAX_TOKEN_CHARS = 8 * 1024;

export interface RemoteInfo {
  readonly name: string;
  readonly type: EndpointKind;
  /** host:port, or a URL: where it is. */
  readonly address: string;
  /** SHA-256 of the CA certificate, lower-case hex; from here on "" where it is no Packetboat server. */
  readonly fingerprint: string;
  readonly clientId: string;
  /** Of an invite; of a token (`byToken`) as `scopes` says. */
  readonly readOnly: boolean;
  readonly byToken?: true;
  /** What the token says of itself, where it can be read without a passphrase; what it gives the server alone knows. */
  readonly scopes?: readonly string[];
  readonly path: string;
  /** ISO 8601; of the client certificate, or of the token. */
  readonly expiresAt: string;
  /** Of remotes that are no Packetboat servers. */
  readonly settings?: Readonly<Record<string, Setting>>;
  /** The credential that it uses, where that is not the one of its own name. */
  readonly credential?: string;
}

export interface EndpointSpec {
  readonly kind: EndpointKind;
  readonly settings: Readonly<Record<string, Setting>>;
  /** Uses this entry of the store; else `secrets` become one of the remote's name. */
  readonly credential?: string;
  readonly secrets: ReadonlyMap<string, Secret>;
}

export interface RemoteActions {
  /** Before a person is asked for more. @throws PbError `exists` for a name that is taken, unless `replace` */
  demandFree(name: string, options: { readonly replace: boolean }): Promise<void>;
  /** Pins the invite's fingerprint, enrols a key of this client's own, stores all under PB_HOME (0600). */
  add(
    name: string,
    invite: string,
    options: { readonly replace: boolean; readonly signal: AbortSignal },
  ): Promise<RemoteInfo>;
  /** Of any kind; a Packetboat server is known by a token then. Secrets go into the store. */
  addEndpoint(
    name: string,
    spec: EndpointSpec,
    options: { readonly replace: boolean; readonly signal: AbortSignal },
  ): Promise<RemoteInfo>;
  list(): Promise<RemoteInfo[]>;
  /** @throws PbError `unknown_remote` */
  show(name: string): Promise<RemoteInfo>;
  /** With its secrets. */
  remove(name: string): Promise<RemoteInfo>;
  /** With its secrets. @throws PbError `exists` */
  rename(from: string, to: string): Promise<RemoteInfo>;
  /** Of a server's remote: these clients (ids, "*") may use it, and no others. @throws PbError `unknown_remote` */
  allow(name: string, clients: readonly string[]): Promise<void>;
  /** Connects and says what works; with `write` an empty file is made and removed. */
  test(name: string, options: TestOptions): AsyncIterable<Check>;
}

export interface TestOptions {
  /** `PathText` of the folder there that is tried; "": its top. */
  readonly path: string;
  readonly write: boolean;
  readonly signal: AbortSignal;
}

export interface CredentialInfo {
  readonly name: string;
  readonly kind: string;
  readonly user?: string;
  readonly host?: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly rotatedAt?: string;
  /** Names of its secrets. */
  readonly secrets: readonly string[];
  /** Names of the remotes that use it. */
  readonly usedBy: readonly string[];
}

export interface CredentialChange {
  readonly user?: string;
  readonly host?: string;
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Names of secrets to drop. */
  readonly drop?: readonly string[];
}

export const IMPORT_SOURCES = ["rclone", "aws", "ssh", "netrc", "pb"] as const;
export type ImportSource = (typeof IMPORT_SOURCES)[number];

export interface ImportOptions {
  readonly source: ImportSource;
  /** Default: where that program keeps it. */
  readonly file?: string;
  /** The content itself, instead of a file. */
  readonly text?: string;
  readonly replace: boolean;
  /** Of an export of ours. */
  readonly passphrase?: Secret;
}

export interface ImportReport {
  readonly remotes: readonly string[];
  readonly credentials: readonly string[];
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
}

export interface TokenOptions {
  readonly subject: string;
  /** `pb:read:ROOT`, `pb:write:ROOT` */
  readonly scopes: readonly string[];
  readonly expiresSeconds: number;
}

export interface TokenInfo {
  readonly token: Secret;
  readonly id: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  /** ISO 8601. */
  readonly expiresAt: string;
  readonly audience: string;
}

export interface CredentialActions {
  /** Of the store as a whole. */
  state(): Promise<{
    readonly form: "none" | "sealed" | "plain";
    readonly locked: boolean;
    readonly file: string;
  }>;
  list(): Promise<CredentialInfo[]>;
  /** @throws PbError `not_found` */
  show(name: string): Promise<CredentialInfo & { readonly values: ReadonlyMap<string, Secret> }>;
  /** @throws PbError `exists` unless `replace` */
  add(name: string, given: CredentialChange, options: { readonly replace: boolean }): Promise<CredentialInfo>;
  /** Sets and drops; the rest stays. `rotate`: what is set replaces all that was. */
  edit(
    name: string,
    change: CredentialChange,
    options: { readonly rotate: boolean },
  ): Promise<CredentialInfo>;
  remove(name: string): Promise<CredentialInfo>;
  import(options: ImportOptions): Promise<ImportReport>;
  /** Credentials and remotes, sealed by a passphrase. */
  export(passphrase: Secret): Promise<{
    readonly sealed: string;
    /** Remotes that are not in it: Packetboat servers, to which each machine has keys of its own. */
    readonly leftOut: readonly string[];
  }>;
  lock(passphrase: Secret): Promise<void>;
  unlock(options: { readonly plain: boolean }): Promise<void>;
  /** Another identity. */
  rekey(): Promise<void>;
  /** A short-lived token for the server whose state folder this is. */
  issueToken(options: TokenOptions): Promise<TokenInfo>;
  /** By its id; at once, on open sessions too. */
  revokeToken(id: string): Promise<void>;
  /** Ends every token that was issued. */
  rotateTokenKey(): Promise<void>;
  /** The passphrase that the environment or a command gives. */
  givenPassphrase(): Promise<Secret | undefined>;
  /** What a child process needs to open the store, where it is known already. */
  passphraseForChild(): string | undefined;
}

/** The remotes and credentials of one folder. */
export interface StoreActions {
  readonly remotes: RemoteActions;
  readonly credentials: CredentialActions;
}

export interface ServeOptions {
  /** NAME=DIR or DIR, in order. */
  readonly roots: readonly string[];
  /** HOST:PORT; default "[::]:7373" (falls back to 0.0.0.0 without IPv6). Port 0: chosen by the kernel. */
  readonly listen?: string;
  /** Addresses to put into invites (HOST or HOST:PORT); default: guessed. */
  readonly advertise?: readonly string[];
  readonly state?: string;
  readonly config?: string;
  readonly logLevel?: string;
  readonly logFile?: string;
  /** Time for running jobs after the abort; default 30. */
  readonly drainSeconds?: number;
  /** What arrived of an unfinished job is kept so long; default 30 days. */
  readonly keepSeconds?: number;
  /** URL of an issuer or of a JWKS, or a file of keys: whose tokens are accepted. */
  readonly jwtIssuers?: readonly string[];
  /** What a token must be made out to. */
  readonly jwtAudiences?: readonly string[];
  /** How long the keys of an issuer that is a URL count before they are asked for again; 1 s to a day, default 5 minutes. */
  readonly jwtRefreshSeconds?: number;
  /** Aborting drains, then stops. */
  readonly signal: AbortSignal;
  /** Called once when calls are accepted. */
  readonly onReady: (info: ServerReady) => void;
}

export interface ServerReady {
  readonly host: string;
  readonly port: number;
  readonly fingerprint: string;
  /** The invite of a first start; absent later (it is in STATE/invite until used). */
  readonly invite?: string;
  readonly state: string;
}

export interface InviteOptions {
  readonly state?: string;
  readonly readOnly: boolean;
  /** "/" for all. */
  readonly path: string;
  readonly expiresSeconds: number;
  readonly uses: number;
  readonly advertise?: string;
}

export interface InviteInfo {
  readonly invite: string;
  readonly expiresAt: string;
  readonly uses: number;
  readonly readOnly: boolean;
  readonly path: string;
}

export interface ClientInfo {
  readonly id: string;
  readonly name: string;
  readonly enrolledAt: string;
  readonly lastSeenAt: string;
  readonly expiresAt: string;
  readonly readOnly: boolean;
  readonly path: string;
  readonly revoked: boolean;
}

export interface ServerActions {
  /** Resolves when the server has stopped. */
  serve(options: ServeOptions): Promise<void>;
  invite(options: InviteOptions): Promise<InviteInfo>;
  clients(state?: string): Promise<ClientInfo[]>;
  /** The state folder when none is named. */
  defaultState(): string;
  /** Takes effect at once, on open sessions too. */
  revoke(id: string, state?: string): Promise<ClientInfo>;
}

export interface Check {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail" | "skipped";
  readonly detail: string;
  /** What to do, one line; absent when ok. */
  readonly fix?: string;
  /** Of a failure: the error's code. */
  readonly code?: ErrorCode;
}

export interface DoctorActions {
  /** Local checks, and those of a remote when one is named; each is yielded as it is known. */
  check(options: { readonly remote?: string; readonly signal: AbortSignal }): AsyncIterable<Check>;
}
