/**
 * What the command line asks for besides files and transfers. Implemented in daemon/, handed to the commands by cli/main.ts:
 * commands import only model/ and gen/.
 */

export interface RemoteInfo {
  readonly name: string;
  /** "pb" */
  readonly type: string;
  /** host:port */
  readonly address: string;
  /** SHA-256 of the CA certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly clientId: string;
  readonly readOnly: boolean;
  readonly path: string;
  /** ISO 8601; of the client certificate. */
  readonly expiresAt: string;
}

export interface RemoteActions {
  /** Pins the invite's fingerprint, enrols a key of this client's own, stores all under PB_HOME (0600). */
  add(
    name: string,
    invite: string,
    options: { readonly replace: boolean; readonly signal: AbortSignal },
  ): Promise<RemoteInfo>;
  list(): Promise<RemoteInfo[]>;
  remove(name: string): Promise<RemoteInfo>;
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
  /** Takes effect at once, on open sessions too. */
  revoke(id: string, state?: string): Promise<ClientInfo>;
}

export interface Check {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail" | "skipped";
  readonly detail: string;
  /** What to do, one line; absent when ok. */
  readonly fix?: string;
}

export interface DoctorActions {
  /** Local checks, and those of a remote when one is named; each is yielded as it is known. */
  check(options: { readonly remote?: string; readonly signal: AbortSignal }): AsyncIterable<Check>;
}
