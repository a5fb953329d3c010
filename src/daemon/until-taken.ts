import { PbError } from "../model/error.ts";

/** Passes messages on until they end, or the access does. */
export async function* untilTaken<T>(
  messages: AsyncIterable<T>,
  track: (end: () => void) => () => void,
): AsyncIterable<T> {
  let end: () => void = () => {};
  const taken = new Promise<never>((_, reject) => {
    end = () =>
      reject(new PbError("token_expired", "the token that this call began with was revoked or has ended"));
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
