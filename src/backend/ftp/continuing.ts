/**
 * Servers that take an upload from its beginning only (proftpd without AllowStoreRestart): they answer REST with 350 all the same, and refuse
 * APPE, and STOR after REST, for a file that is there. Only asking tells.
 */

import { dirName } from "../../model/path.ts";
import { partName } from "../part-name.ts";
import * as calls from "./calls.ts";
import type { FtpConnection, Transfer } from "./connection.ts";
import type { FtpRefusal } from "./control.ts";
import { replacing } from "./files.ts";
import { type Ground, onGround } from "./ground.ts";
import { pullFrom } from "./pull.ts";
import { push } from "./push.ts";

/** Why an upload is begun anew. */
export const NOT_CONTINUED = "this FTP server continues no upload (proftpd: AllowStoreRestart)";

/** Of the pieces that are written again. */
const PIECE_BYTES = 256 * 1024;
/** For a second connection, where a server gives one user a few and all are in use. */
const SECOND_MS = 30_000;

/** Adds nothing to a part, where nobody knows yet whether the server would let more be added. */
export async function learnContinuing(
  ground: Ground,
  connection: FtpConnection,
  part: string,
): Promise<boolean> {
  const { uploads } = ground;
  if (uploads.continued !== undefined) return uploads.continued;
  try {
    const { data, final } = await connection.transfer(`APPE ${part}`);
    data.resume();
    data.end();
    await final;
    data.destroy();
    uploads.continued = true;
  } catch (error) {
    if (!calls.isRefusal(error) || !isForGood(error)) throw error;
    uploads.continued = false;
  }
  return uploads.continued;
}

/** proftpd says 451, with which it means its configuration; others say that they don't know, or don't allow, the command. */
function isForGood({ code }: FtpRefusal): boolean {
  return code === 451 || (code >= 500 && code <= 504) || code === 550 || code === 553;
}

export interface Again {
  /** As the server's path. */
  readonly part: string;
  /** As many bytes of it are kept. */
  readonly bytes: number;
  readonly nameTag: number | undefined;
  readonly signal: AbortSignal;
}

/** One after the other: each takes a second connection while it holds its first, and all of them together would wait for ever. */
export async function againInTurn<T>({ uploads }: Ground, run: () => Promise<T>): Promise<T> {
  const mine = uploads.again.then(run);
  uploads.again = mine.then(
    () => {},
    () => {},
  );
  return mine;
}

/**
 * Writes a part anew from what the server has of it, by way of this process, as the sender may not have it any more. The transfer that it
 * returns is where the rest goes. Within `againInTurn`.
 */
export async function beginAgain(ground: Ground, connection: FtpConnection, again: Again): Promise<Transfer> {
  const lease = await ground.pool.lease(AbortSignal.any([again.signal, AbortSignal.timeout(SECOND_MS)]));
  try {
    const transfer = await rewrite(ground, { to: connection, from: lease.connection }, again);
    lease.release();
    return transfer;
  } catch (error) {
    lease.release({ broken: true });
    throw error;
  }
}

async function rewrite(
  ground: Ground,
  { to, from }: { readonly to: FtpConnection; readonly from: FtpConnection },
  { part, bytes, nameTag }: Again,
): Promise<Transfer> {
  const old = `${dirName(part)}/${partName(nameTag)}`;
  await calls.renamePath(to, part, old);
  try {
    const transfer = await to.transfer(`STOR ${part}`);
    await copy(from, old, { bytes, to: transfer });
    await from.control.send(`DELE ${old}`);
    return transfer;
  } catch (error) {
    to.close();
    // So that a repetition finds it. Where that can't be done any more, it is found by its name with the job's other parts.
    const signal = AbortSignal.timeout(SECOND_MS);
    const back = onGround(ground, { path: "", signal }, ({ connection }) =>
      replacing(connection, { from: old, to: part, isThere: true }),
    );
    await back.catch(() => {});
    throw error;
  }
}

async function copy(
  from: FtpConnection,
  where: string,
  { bytes, to }: { readonly bytes: number; readonly to: Transfer },
): Promise<void> {
  const { data, final } = await from.transfer(`RETR ${where}`);
  const ended = final.catch(() => undefined);
  const pull = pullFrom(data, () => from.control.alive());
  for (let at = 0; at < bytes; ) {
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, bytes - at));
    await pull.fill(piece);
    await push(to, piece);
    at += piece.length;
  }
  // There may be more, which was never confirmed.
  data.destroy();
  await ended;
}
