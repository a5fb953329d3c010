import type { Interceptor } from "@connectrpc/connect";
import { toConnectError } from "../wire/connect.ts";

/** Turns whatever a service throws into the API's errors; outermost, so that the gate's refusals are mapped too. */
export function errorInterceptor(onFailure?: (method: string, error: unknown) => void): Interceptor {
  return (next) => async (request) => {
    const name = `${request.service.typeName}/${request.method.name}`;
    const map = (error: unknown) => {
      onFailure?.(name, error);
      return toConnectError(error);
    };
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: mapped(response.message, map) } : response;
    } catch (error) {
      throw map(error);
    }
  };
}

async function* mapped<T>(messages: AsyncIterable<T>, map: (error: unknown) => Error): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    throw map(error);
  }
}
