import { setTimeout as sleep } from "node:timers/promises";
import { PbError } from "../../model/error.ts";
import { unlessAborted } from "../signals.ts";
import type { SftpConnection } from "./connect.ts";

/** Connections to one server, shared by all calls: requests of many calls are out on each at once. */
export interface SftpPool {
  /** One that is open and has the least to do; opens the first, and further ones in the background while all are busy. */
  take(signal: AbortSignal): Promise<SftpConnection>;
  /** Logs in anew for what comes next; what is open ends as soon as nothing is under way on it. */
  renew(): void;
  /** Idempotent; calls under way end with `aborted`. */
  close(): void;
}

export interface PoolOptions {
  readonly connect: () => Promise<SftpConnection>;
  readonly max: number;
}

/** A connection with more than this out is busy: half of what ssh2 lets a server send before it must wait. */
const BUSY_BYTES = 1024 * 1024;
/** After a server has refused one more connection. */
const PAUSE_MS = 30_000;
/** What is under way on a connection whose login counts no more has this long to end; then it is cut off, and tried again elsewhere. */
const RETIRE_MS = 500;
const RETIRE_LOOK_MS = 20;

export function createPool({ connect, max }: PoolOptions): SftpPool {
  let connections: SftpConnection[] = [];
  let opening: Promise<SftpConnection> | undefined;
  let closed = false;
  let notBefore = 0;
  let renewals = 0;

  /** By the login that counts when it is done. */
  async function logIn(): Promise<SftpConnection> {
    for (;;) {
      const before = renewals;
      const made = await connect();
      if (before === renewals || closed) return made;
      made.fail(replaced());
    }
  }

  function openOne(): Promise<SftpConnection> {
    opening ??= logIn().then(
      (made) => {
        opening = undefined;
        if (closed) made.fail(ending());
        else connections.push(made);
        return made;
      },
      (error: unknown) => {
        opening = undefined;
        notBefore = Date.now() + PAUSE_MS;
        throw error;
      },
    );
    return opening;
  }

  return {
    async take(signal) {
      connections = connections.filter((each) => !each.closed);
      const [first, ...others] = connections;
      if (closed) throw ending();
      if (first === undefined) return unlessAborted(openOne(), signal);
      const best = others.reduce((a, b) => (b.load < a.load ? b : a), first);
      const wants = best.load > BUSY_BYTES && connections.length < max && Date.now() >= notBefore;
      // What goes wrong with a further one is no error: there is one that works.
      if (wants && opening === undefined) openOne().catch(() => {});
      return best;
    },
    renew() {
      renewals += 1;
      notBefore = 0;
      for (const each of connections.splice(0)) void retire(each);
    },
    close() {
      closed = true;
      for (const each of connections.splice(0)) each.fail(ending());
    },
  };
}

async function retire(connection: SftpConnection): Promise<void> {
  for (let waited = 0; connection.load > 0 && waited < RETIRE_MS; waited += RETIRE_LOOK_MS)
    await sleep(RETIRE_LOOK_MS);
  connection.fail(replaced());
}

const replaced = () => new PbError("connection_lost", "the login of this connection was replaced");
const ending = () => new PbError("aborted", "the endpoint was closed");
