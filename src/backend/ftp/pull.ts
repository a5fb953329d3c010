import type { Socket } from "node:net";
import { PbError } from "../../model/error.ts";

/** Reads of given lengths from a data connection; between them it is paused, so that the server waits. */
export interface Pull {
  /** Fills all of it, in the order of these calls. @throws PbError `connection_lost`; `Ended` when there is no more */
  fill(into: Uint8Array): Promise<void>;
  /** Nothing comes any more. @throws PbError `source_changed` when something does */
  end(): Promise<void>;
}

/** The data ended: whether that is the end of the file, the control connection tells. */
export class Ended extends Error {}

interface Want {
  readonly into: Uint8Array;
  filled: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** @param alive called as data comes */
export function pullFrom(data: Socket, alive: () => void): Pull {
  let left: Buffer | undefined;
  /** The first is filled. */
  const wants: Want[] = [];
  let over: unknown;

  function feed(chunk: Buffer): void {
    let rest: Buffer | undefined = chunk;
    for (let [want] = wants; want !== undefined && rest !== undefined; [want] = wants) {
      const room = want.into.length - want.filled;
      want.into.set(rest.length > room ? rest.subarray(0, room) : rest, want.filled);
      want.filled += Math.min(room, rest.length);
      rest = rest.length > room ? rest.subarray(room) : undefined;
      if (want.filled < want.into.length) return;
      wants.shift();
      want.resolve();
    }
    left = rest;
    if (wants.length === 0) data.pause();
  }

  function ended(reason: unknown): void {
    over ??= reason;
    for (const { reject } of wants.splice(0)) reject(over);
  }

  data.on("data", (chunk: Buffer) => {
    alive();
    feed(chunk);
  });
  data.once("end", () => ended(new Ended()));
  data.once("error", (cause) =>
    ended(new PbError("connection_lost", "the data connection was lost", { cause })),
  );
  data.once("close", () => ended(new PbError("connection_lost", "the data connection was closed")));

  const fill = (into: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      if (into.length === 0) {
        resolve();
        return;
      }
      alive();
      wants.push({ into, filled: 0, resolve, reject });
      const rest = left;
      left = undefined;
      if (rest) feed(rest);
      if (wants.length === 0) return;
      if (over === undefined) data.resume();
      else ended(over);
    });

  return {
    fill,
    async end() {
      try {
        await fill(Buffer.alloc(1));
      } catch (error) {
        if (error instanceof Ended) return;
        throw error;
      }
      throw new PbError("source_changed", "the file has become longer");
    },
  };
}
