import { PbError } from "../../model/error.ts";
import { aborted } from "../signals.ts";
import type { FtpConnection } from "./connection.ts";

/** A connection that is one user's until it is given back. */
export interface Lease {
  readonly connection: FtpConnection;
  /** Back to the others; closed when its state is not known. Idempotent. */
  release(options?: { readonly broken: boolean }): void;
  /**
   * Kept, but not used at the moment: somebody who waits may take it away. `giveUp` is then called once, brings it into a state from which
   * others can go on, and releases it.
   */
  park(giveUp: () => Promise<void>): void;
  /** In use again. False: it was taken away. */
  unpark(): boolean;
}

export interface FtpPool {
  /** @throws PbError `aborted`, and what a login throws */
  lease(signal: AbortSignal): Promise<Lease>;
  /** Logs in anew for what comes next: a connection that is in use ends with what it is used for, the others now. */
  renew(): void;
  /** Idempotent. */
  close(): void;
}

interface Waiter {
  readonly resolve: (lease: Lease) => void;
  readonly reject: (error: unknown) => void;
}

export interface PoolOptions {
  readonly login: () => Promise<FtpConnection>;
  readonly max: number;
}

/** A server that has refused one more connection is asked again after this. */
const PAUSE_MS = 30_000;

export function createPool({ login, max }: PoolOptions): FtpPool {
  const all = new Set<FtpConnection>();
  const idle: FtpConnection[] = [];
  const parked = new Map<Lease, () => Promise<void>>();
  let waiters: Waiter[] = [];
  let opening = 0;
  let closed = false;
  let notBefore = 0;
  let renewals = 0;
  /** Their login counts no more. */
  const old = new WeakSet<FtpConnection>();

  function leaseOf(connection: FtpConnection): Lease {
    let over = false;
    const lease: Lease = {
      connection,
      release({ broken } = { broken: false }) {
        if (over) return;
        over = true;
        parked.delete(lease);
        // A reply that is still to come would be taken for that of the next command.
        const usable = !connection.control.closed && connection.control.pending === 0;
        if (broken || closed || !usable || old.has(connection)) drop(connection);
        else idle.push(connection);
        serve();
      },
      park(giveUp) {
        if (over) return;
        parked.set(lease, giveUp);
        serve();
      },
      unpark: () => !over && parked.delete(lease),
    };
    return lease;
  }

  function drop(connection: FtpConnection): void {
    connection.close();
    all.delete(connection);
  }

  async function openOne(): Promise<void> {
    opening += 1;
    const before = renewals;
    try {
      const made = await login();
      // One by a login that was replaced meanwhile: who waits for it has another opened.
      if (closed || before !== renewals) made.close();
      else {
        all.add(made);
        idle.push(made);
      }
    } catch (error) {
      notBefore = Date.now() + PAUSE_MS;
      // Others work: this one waits for one of them.
      if (all.size === 0) for (const waiter of waiters.splice(0)) waiter.reject(error);
    } finally {
      opening -= 1;
    }
    serve();
  }

  function serve(): void {
    while (waiters.length > 0) {
      const free = idle.pop();
      if (free === undefined) {
        makeRoom();
        return;
      }
      if (free.control.closed) drop(free);
      else waiters.shift()?.resolve(leaseOf(free));
    }
  }

  function makeRoom(): void {
    const wanted = waiters.length - opening;
    const room = max - all.size - opening;
    const may = all.size === 0 || Date.now() >= notBefore ? Math.min(wanted, room) : 0;
    for (let more = 0; more < may; more += 1) void openOne();
    if (may > 0 || opening > 0) return;
    const [oldest] = parked;
    if (oldest !== undefined) takeAway(...oldest);
  }

  function takeAway(lease: Lease, giveUp: () => Promise<void>): void {
    parked.delete(lease);
    giveUp().catch(() => lease.release({ broken: true }));
  }

  return {
    lease(signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(aborted(signal));
        if (closed) return reject(ending());
        const done = () => signal.removeEventListener("abort", stop);
        const waiter: Waiter = {
          resolve: (lease) => {
            done();
            resolve(lease);
          },
          reject: (error) => {
            done();
            reject(error);
          },
        };
        const stop = () => {
          waiters = waiters.filter((each) => each !== waiter);
          reject(aborted(signal));
        };
        signal.addEventListener("abort", stop, { once: true });
        waiters.push(waiter);
        serve();
      });
    },
    renew() {
      renewals += 1;
      notBefore = 0;
      for (const each of all) old.add(each);
      for (const each of idle.splice(0)) drop(each);
      for (const each of [...parked]) takeAway(...each);
    },
    close() {
      closed = true;
      for (const connection of [...all]) drop(connection);
      idle.length = 0;
      parked.clear();
      for (const waiter of waiters.splice(0)) waiter.reject(ending());
    },
  };
}

const ending = () => new PbError("aborted", "the endpoint was closed");
