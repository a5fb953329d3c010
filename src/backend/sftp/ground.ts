import { either, refuseAborted } from "../signals.ts";
import type { SftpConnection } from "./connect.ts";
import { sftpError } from "./errors.ts";
import type { SftpPool } from "./pool.ts";
import type { Resolver } from "./resolve.ts";

/** What all calls of one backend share. `resolver` and `replaces` are known once there was a connection: within `onGround`. */
export interface Ground {
  readonly pool: SftpPool;
  readonly resolver: Resolver;
  /** In errors. */
  readonly peer: string;
  /** Aborted by `Backend.close`. */
  readonly closing: AbortSignal;
  /** The server has `posix-rename@openssh.com`. */
  readonly replaces: boolean;
}

/** What a call works with. */
export interface Call {
  readonly session: SftpConnection;
  readonly signal: AbortSignal;
  /** @throws as `Resolver.resolve` */
  resolve(path: string, last: "follow" | "keep"): Promise<Uint8Array>;
}

/** One call of the contract: refused when aborted, on the connection that has the least to do, with errors that name the path. */
export async function onGround<T>(
  ground: Ground,
  { path, signal: caller }: { readonly path: string; readonly signal: AbortSignal },
  run: (call: Call) => Promise<T>,
): Promise<T> {
  using signals = either(caller, ground.closing);
  const { signal } = signals;
  try {
    refuseAborted(signal);
    const session = await ground.pool.take(signal);
    const resolve = (asked: string, last: "follow" | "keep") =>
      ground.resolver.resolve(asked, { last, session, signal });
    return await run({ session, signal, resolve });
  } catch (error) {
    throw sftpError(error, { path, peer: ground.peer });
  }
}
