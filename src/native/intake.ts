/** `Intake` over native/pb-node/src/web/receive.rs. */
import { PbError } from "../model/error.ts";
import type { Addon } from "./addon.ts";
import { type CallMemory, callsOf } from "./pump.ts";
import type { Intake } from "./types.ts";

interface Engine {
  /** Undefined: it is closed. */
  readonly handle: Addon.NativeFetcher | undefined;
  readonly number: number;
  /** Nothing is heard any more. */
  readonly onEnd: () => void;
}

interface Waiting {
  readonly calls: CallMemory;
  readonly resolve: (kind: string) => void;
}

interface Made {
  readonly intake: Intake;
  readonly hear: (news: Addon.NativeFetched) => void;
}

export function createIntake(
  { host, port }: { readonly host: string; readonly port: number },
  { handle, number, onEnd }: Engine,
): Made {
  /** In the order in which they were asked for, and are told. */
  const waiting: Waiting[] = [];
  let isClosed = false;
  let connect: { readonly resolve: () => void; readonly reject: (error: PbError) => void } | undefined;
  const connected = new Promise<void>((resolve, reject) => {
    connect = { resolve, reject };
  });
  // Who closes it need not wait for it.
  connected.catch(() => {});

  function hear({ kind, text, left }: Addon.NativeFetched): void {
    if (kind === "connected") {
      connect?.resolve();
      connect = undefined;
    } else if (connect !== undefined) {
      connect.reject(noConnection(kind, { host, port, why: text?.toString("utf8") ?? "" }));
      onEnd();
    } else if (kind === "closed") onEnd();
    else {
      const first = waiting.shift();
      first?.calls.keep(left);
      first?.resolve(kind);
    }
  }

  function pull(calls: CallMemory, isLast: boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      if (isClosed) return reject(new PbError("connection_lost", "the connection was closed"));
      // Told of no sooner than the next turn.
      if (handle?.pull(number, calls.handle, calls.numbers, isLast)) waiting.push({ calls, resolve });
      else reject(new PbError("aborted", "interrupted"));
    });
  }

  if (!handle?.receive(number, host, port)) connect?.reject(new PbError("aborted", "interrupted"));
  return {
    hear,
    intake: {
      connected,
      async fill(memory, last) {
        const calls = callsOf(memory);
        const kind = await pull(calls, last !== undefined);
        if (kind === "ended" || kind === "more") return kind;
        if (kind !== "filled") throw brokenError(kind);
        await last?.();
        for (const call of calls.numbers) calls.handle.done(call);
        calls.keep(0);
        return kind;
      },
      close() {
        if (isClosed) return;
        isClosed = true;
        handle?.cancel(number);
      },
    },
  };
}

function noConnection(
  kind: string,
  { host, port, why }: { readonly host: string; readonly port: number; readonly why: string },
): PbError {
  if (kind === "cancelled") return new PbError("aborted", "interrupted");
  return kind === "timeout"
    ? new PbError("timeout", `${host}:${port} does not answer`)
    : new PbError("unreachable", `${host}:${port} cannot be reached`, { cause: new Error(why) });
}

function brokenError(kind: string): PbError {
  return kind === "timeout"
    ? new PbError("timeout", "the data connection stands still")
    : new PbError("connection_lost", "the data connection was lost");
}
