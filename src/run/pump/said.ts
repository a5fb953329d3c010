import { PbError } from "../../model/error.ts";

/** As many as a receipt may list. */
const MAX_KEPT = 1_000;

/**
 * What an endpoint said when a file failed. The engine carries code and message of it to both ends of the job, but neither who said it nor what to do; it is
 * known again by the two, as paths are those of the source at one end and of the destination at the other.
 */
export class Said {
  readonly #errors = new Map<string, PbError>();

  note(error: PbError): void {
    if (this.#errors.size < MAX_KEPT) this.#errors.set(keyOf(error.code, error.message), error);
  }

  /** A job's error in the words of the endpoint; it itself where the endpoint had no part in it. */
  explain(error: PbError): PbError {
    const words = typeof error.cause === "string" ? error.cause : error.message;
    const said = this.#errors.get(keyOf(error.code, words));
    if (said === undefined) return error;
    const { message, peer, hint, retryable, retryAfterMs } = said;
    const options = { path: error.path, peer, hint, retryable, retryAfterMs, cause: said };
    return new PbError(error.code, message, options);
  }
}

const keyOf = (code: string, words: string) => `${code}\0${words}`;
