import { PbError } from "../model/error.ts";

/** Passes messages on until they end, or the access does. */
export async function* untilTaken<T>(
  messages: AsyncIterable<T>,
  track: (end: () => void) => () => void,
): AsyncIterable<T> {
  let end: () => void = () => {};
  const taken = new Promise<never>((_, reject) => {
    end = () =>
      reject(new PbError("revoked", "the access that this call began with was taken away or has ended"));
  });
  taken.catch(() => {});
  const untrack = track(end);
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), taken]);
      if (done) return;
      yield value;
    }
  } finally {
    untrack();
    // One that waits for its next message ends when the call does.
    iterator.return?.()?.catch(() => {});
  }
}
