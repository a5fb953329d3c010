import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import { MIN_MEMORY_BYTES } from "../model/transfer.ts";
import type { NativeSession } from "../native/types.ts";
import { takenFrom } from "./caller.ts";

/** One client's sessions at once: more than it has use for, and few enough not to crowd others out (T14). */
const MAX_SESSIONS_PER_CLIENT = 64;
/** A session without a job is closed after this; a client that still wants one opens another. */
const IDLE_MS = 60_000;
/** Sessions share this many times the memory of one. */
const MEMORY_SHARES = 4;

/** A data session of a client, at the server. */
export interface OpenSession {
  readonly connectionId: bigint;
  readonly clientId: string;
  readonly session: NativeSession;
  /** Aborted when the session is closed or lost, with the reason. */
  readonly ended: AbortSignal;
}

export interface SessionsOptions {
  /** What one session may take for its buffers. */
  readonly memoryBytes: number;
  /** Tells when a client is revoked; see LiveClients. */
  readonly track: (clientId: string, end: () => void) => () => void;
}

/** A session that was registered with the memory that was granted. */
export interface Opened {
  readonly connectionId: bigint;
  readonly session: NativeSession;
  readonly memoryBytes: number;
  /** Called once, while the session still answers. */
  readonly beforeEnd?: () => Promise<void>;
  /** Aborted when the connection that it was asked for on has closed: then nobody is left to use it. */
  readonly gone?: AbortSignal;
}

export interface StartedJob {
  readonly open: OpenSession;
  /** Idempotent. `lost`: whoever asked for the job has gone, and with it the session's use. */
  end(how?: { readonly lost?: boolean }): void;
}

interface Held extends OpenSession {
  readonly memoryBytes: number;
  readonly beforeEnd: () => Promise<void>;
  readonly stop: AbortController;
  readonly untrack: () => void;
  readonly jobs: Set<number>;
  readonly gone: AbortSignal | undefined;
  readonly unwatch: () => void;
  idle: NodeJS.Timeout | undefined;
}

/** The data sessions of a server: each belongs to one client and is seen by no other. */
export class Sessions implements AsyncDisposable {
  readonly #held = new Map<bigint, Held>();
  readonly #options: SessionsOptions;
  #memoryUsed = 0;
  #closed = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /**
   * Of what a client asks for its buffers here, what it gets.
   *
   * @throws PbError `resource_exhausted` when this client, or all together, have too many sessions
   */
  grantMemory(caller: Caller, askedBytes: number): number {
    if (this.#closed) throw new PbError("unreachable", "the server is stopping");
    const mine = [...this.#held.values()].filter(({ clientId }) => clientId === caller.clientId);
    if (mine.length >= MAX_SESSIONS_PER_CLIENT) {
      throw new PbError("resource_exhausted", `this client has ${mine.length} sessions open already`, {
        hint: "wait until some of its transfers have ended",
      });
    }
    const { memoryBytes } = this.#options;
    const left = memoryBytes * MEMORY_SHARES - this.#memoryUsed;
    // Never more than half of what is left, so that the sessions to come find some too.
    const most = Math.min(memoryBytes, Math.max(MIN_MEMORY_BYTES, Math.floor(left / 2)), left);
    const granted = Math.min(Math.max(askedBytes, MIN_MEMORY_BYTES), most);
    if (granted >= MIN_MEMORY_BYTES) return granted;
    throw new PbError("resource_exhausted", "the server's memory for transfers is in use", {
      hint: "try again later, or give the server more memory",
    });
  }

  has(connectionId: bigint): boolean {
    return this.#held.has(connectionId);
  }

  /** Keeps a session until it ends. */
  add(caller: Caller, opened: Opened): void {
    const { connectionId, session, memoryBytes, gone, beforeEnd = async () => {} } = opened;
    const stop = new AbortController();
    const revoked = () => {
      void this.#end(held, takenFrom(caller));
    };
    const onGone = () => this.#rest(held);
    gone?.addEventListener("abort", onGone, { once: true });
    const held: Held = {
      connectionId,
      clientId: caller.clientId,
      session,
      memoryBytes,
      beforeEnd,
      stop,
      ended: stop.signal,
      untrack: this.#options.track(caller.grant ?? caller.clientId, revoked),
      jobs: new Set(),
      gone,
      unwatch: () => gone?.removeEventListener("abort", onGone),
      idle: undefined,
    };
    this.#held.set(connectionId, held);
    this.#memoryUsed += memoryBytes;
    this.#rest(held);
    session.closed.then(
      (reason) => this.#end(held, reason),
      (cause: unknown) => this.#end(held, PbError.from(cause, "connection_lost")),
    );
  }

  /** @throws PbError `connection_lost` for a session that is not there, or another client's: nobody learns which */
  get(caller: Caller, connectionId: bigint): OpenSession {
    return this.#get(caller, connectionId);
  }

  /**
   * Runs a job of a session, which does not count as idle meanwhile.
   *
   * @throws PbError `invalid_argument` when the session has a job of that number
   */
  startJob(caller: Caller, connectionId: bigint, job: number): StartedJob {
    const held = this.#get(caller, connectionId);
    if (held.jobs.has(job)) {
      throw new PbError("invalid_argument", `the session has a job ${job} already`);
    }
    clearTimeout(held.idle);
    held.jobs.add(job);
    const end = ({ lost = false } = {}) => {
      if (!held.jobs.delete(job)) return;
      if (lost) this.#abandon(held);
      else this.#rest(held);
    };
    return { open: held, end };
  }

  /** Idempotent. */
  async close(caller: Caller, connectionId: bigint): Promise<void> {
    const held = this.#held.get(connectionId);
    if (held?.clientId === caller.clientId) await this.#end(held);
  }

  get size(): number {
    return this.#held.size;
  }

  /** Ends all sessions and lets no new ones in. Idempotent. */
  async closeAll(): Promise<void> {
    this.#closed = true;
    const error = new PbError("connection_lost", "the server is stopping");
    await Promise.all([...this.#held.values()].map((held) => this.#end(held, error)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.closeAll();
  }

  #get(caller: Caller, connectionId: bigint): Held {
    const held = this.#held.get(connectionId);
    if (held?.clientId === caller.clientId) return held;
    // Of a server that was started anew, too: a client that opens another goes on.
    throw new PbError("connection_lost", "there is no such session");
  }

  /** Without a job: it may get another, from a client that is still there. */
  #rest(held: Held): void {
    if (held.jobs.size > 0 || !this.#held.has(held.connectionId)) return;
    if (held.gone?.aborted) {
      this.#abandon(held);
      return;
    }
    clearTimeout(held.idle);
    held.idle = setTimeout(() => {
      void this.#end(held, new PbError("timeout", "the session was idle"));
    }, IDLE_MS);
    held.idle.unref();
  }

  /** What it holds is another client's to use: one that was killed may have begun again already. */
  #abandon(held: Held): void {
    void this.#end(held, new PbError("connection_lost", "the client has gone"));
  }

  async #end(held: Held, reason?: PbError): Promise<void> {
    if (!this.#held.delete(held.connectionId)) return;
    clearTimeout(held.idle);
    held.untrack();
    held.unwatch();
    this.#memoryUsed -= held.memoryBytes;
    held.stop.abort(reason ?? new PbError("connection_lost", "the session was closed"));
    await Promise.allSettled([held.beforeEnd(), held.session.close()]);
  }
}
