import type { Interceptor } from "@connectrpc/connect";
import { AdminService } from "../gen/packetboat/v1/admin_pb.ts";
import { SessionService } from "../gen/packetboat/v1/session_pb.ts";
import { PbError } from "../model/error.ts";

/** Counts the calls that run, and lets no new ones in once the server is to stop. */
export interface Calls {
  readonly interceptor: Interceptor;
  readonly running: number;
  /** Lets those that run end by themselves; resolves when none is left or the time is over. */
  drain(timeoutMs: number): Promise<void>;
}

/** What a client needs to end a job well while the server drains. */
const STILL_ALLOWED: ReadonlySet<object> = new Set([SessionService.method.close, AdminService.method.info]);

export function countCalls(): Calls {
  let running = 0;
  let draining = false;
  let idle: (() => void) | undefined;

  const end = () => {
    running -= 1;
    if (running === 0) idle?.();
  };

  async function* untilEnd<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
    try {
      yield* messages;
    } finally {
      end();
    }
  }

  return {
    interceptor: (next) => async (request) => {
      if (draining && !STILL_ALLOWED.has(request.method)) {
        throw new PbError("unreachable", "the server is stopping", { hint: "try again when it is back" });
      }
      running += 1;
      let streams = false;
      try {
        const response = await next(request);
        if (!response.stream) return response;
        streams = true;
        return { ...response, message: untilEnd(response.message) };
      } finally {
        if (!streams) end();
      }
    },
    get running() {
      return running;
    },
    drain(timeoutMs) {
      draining = true;
      if (running === 0) return Promise.resolve();
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
  };
}
