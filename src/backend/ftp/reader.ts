/** Transfers that are read in pieces: by JavaScript, or past it by the engine. */

import type { Socket } from "node:net";
import { PbError } from "../../model/error.ts";
import type { FillableMemory, Intake } from "../fetching.ts";
import { unlessAborted } from "../signals.ts";
import { isRefusal } from "./calls.ts";
import type { FtpConnection, Transfer } from "./connection.ts";
import type { Lease } from "./pool.ts";
import { Ended, pullFrom } from "./pull.ts";

/** How long a server may take to notice that a transfer was broken off. */
const BREAK_OFF_MS = 3_000;

/** How the content of a RETR gets into what waits for it. */
export type Way<Into> = (connection: FtpConnection, command: string, before?: string) => Promise<Flow<Into>>;

interface Flow<Into> {
  /**
   * Fills all of it, in the order of these calls. With `last` nothing may come behind it, and it counts when that promise is fulfilled.
   *
   * @throws PbError `connection_lost`, `timeout`, `source_changed` when more comes; `Ended`
   */
  fill(into: Into, last?: () => Promise<unknown>): Promise<void>;
  end(): void;
  readonly final: Transfer["final"];
}

async function throughNode(
  connection: FtpConnection,
  command: string,
  before?: string,
): Promise<Flow<Uint8Array>> {
  const { data, final } = await connection.transfer(command, before);
  const { pull } = pulled(connection, { data, final });
  return {
    final,
    async fill(into, last) {
      const filled = pull.fill(into);
      await (last ? Promise.all([filled, pull.end()]) : filled);
      await last?.();
    },
    end: () => data.destroy(),
  };
}

async function pastNode(
  { control, receive }: FtpConnection,
  command: string,
  before?: string,
): Promise<Flow<FillableMemory>> {
  if (receive === undefined) throw new PbError("internal", "this connection's data is read by Node alone");
  const { data, final }: Transfer<Intake> = await receive(command, before);
  final.catch(() => {});
  return {
    final,
    async fill(into, last) {
      // The engine notices itself when nothing comes any more.
      control.rest();
      const came = await data.fill(into, last);
      if (came === "ended") throw new Ended();
      if (came === "more") throw new PbError("source_changed", "the file has become longer");
    },
    end: () => data.close(),
  };
}

export const ways = { throughNode, pastNode };

/** One RETR from an offset on. */
export interface Reader<Into> {
  readonly way: unknown;
  /** Where the next read of it must begin. */
  readonly next: number;
  /** The file is read to its end, or the reading failed: the connection is given back. */
  readonly over: boolean;
  /** False: it reads no more than it was asked for, or its connection was taken away. */
  resume(): boolean;
  fill(into: Into, options: { readonly signal: AbortSignal; readonly size: number }): Promise<void>;
  breakOff(): Promise<void>;
}

interface Begun<Into> {
  readonly where: string;
  readonly offset: number;
  readonly way: Way<Into>;
  /** When it has read so many bytes, it reads no more. */
  readonly most: number;
}

export function createReader<Into extends { readonly length: number }>(
  lease: Lease,
  { where, offset, way, most }: Begun<Into>,
): Reader<Into> {
  const { connection } = lease;
  const opening = way(connection, `RETR ${where}`, offset === 0 ? undefined : `REST ${offset}`);
  opening.catch(() => {});
  let next = offset;
  let over = false;
  let busy = 0;

  async function breakOff(): Promise<void> {
    if (over) return;
    over = true;
    const flow = await opening.catch(() => undefined);
    if (flow === undefined) {
      lease.release();
      return;
    }
    flow.end();
    const settled = flow.final.then(
      () => true,
      () => true,
    );
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, BREAK_OFF_MS, false).unref());
    lease.release({ broken: !(await Promise.race([settled, late])) });
  }

  async function take(into: Into, signal: AbortSignal, isLast: boolean): Promise<void> {
    // Those that wait for the connection come in the order of these calls, too.
    const got = opening.then(({ fill, final }) => fill(into, isLast ? () => saidOf(final) : undefined));
    try {
      await unlessAborted(got, signal);
    } catch (error) {
      throw error instanceof Ended ? await whyEnded(opening) : error;
    }
    if (!isLast || over) return;
    over = true;
    (await opening).end();
    lease.release();
  }

  /** The server's word on it: from now on its silence counts. */
  function saidOf(final: Promise<unknown>): Promise<unknown> {
    connection.control.alive();
    return final;
  }

  return {
    way,
    get next() {
      return next;
    },
    get over() {
      return over;
    },
    resume: () => !over && next - offset < most && (busy > 0 || lease.unpark()),
    async fill(into, { signal, size }) {
      next += into.length;
      busy += 1;
      try {
        await take(into, signal, next >= size);
      } catch (error) {
        await breakOff();
        throw error;
      } finally {
        busy -= 1;
      }
      if (busy > 0 || over) return;
      // At once: what the server sends meanwhile is for nobody.
      if (next - offset >= most) return void breakOff();
      connection.control.rest();
      lease.park(breakOff);
    },
    breakOff,
  };
}

function pulled(connection: FtpConnection, { data, final }: Transfer<Socket>) {
  final.catch(() => {});
  return { data, final, pull: pullFrom(data, () => connection.control.alive()) };
}

/** A RETR of a whole file, by JavaScript. */
export async function begin(connection: FtpConnection, where: string) {
  return pulled(connection, await connection.transfer(`RETR ${where}`));
}

/** A file that has become shorter ends well; a lost connection does not. */
export async function whyEnded(opening: Promise<Pick<Transfer, "final">>): Promise<unknown> {
  const { final } = await opening;
  return final.then(
    () => new PbError("source_changed", "the file has become shorter"),
    (error: unknown) =>
      isRefusal(error) ? new PbError("connection_lost", "the server broke off", { cause: error }) : error,
  );
}
