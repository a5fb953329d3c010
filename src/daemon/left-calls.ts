import type { Interceptor } from "@connectrpc/connect";

/**
 * Ends what a streaming call runs when its caller leaves. Within one process nobody else does: Connect's in-memory transport stops reading at
 * an abort and lets go of the service's generator, which would stay where it stands, its clean-up not run. Outermost.
 */
export function endLeftCalls(): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    return response.stream ? { ...response, message: endedBy(response.message, request.signal) } : response;
  };
}

/** No generator: it would be let go of in the same way. */
function endedBy<T>(messages: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      // Waits its turn where the generator is at work: that ends by the same signal.
      const leave = () => {
        iterator.return?.()?.catch(() => {});
      };
      const done = () => signal.removeEventListener("abort", leave);
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave, { once: true });
      return {
        async next() {
          try {
            const result = await iterator.next();
            if (result.done) done();
            return result;
          } catch (error) {
            done();
            throw error;
          }
        },
        async return(value) {
          done();
          return (await iterator.return?.(value)) ?? { done: true, value };
        },
      };
    },
  };
}
