import { PbError } from "../../model/error.ts";

/** As many as a receipt may list. */
const MAX_KEPT = 1_000;

/** What was said, and the paths at the endpoint that it was said of. */
interface Saying {
  readonly error: PbError;
  readonly paths: Set<string>;
}

/**
 * What an endpoint said when a file failed. The engine carries code and message of it to both ends of the job, but neither who said it nor what to do; it is
 * known again by the two, as paths are those of the source at one end and of the destination at the other.
 */
export class Said {
  readonly #sayings = new Map<string, Saying>();
  #kept = 0;

  note(error: PbError): void {
    if (this.#kept >= MAX_KEPT) return;
    this.#kept += 1;
    const key = keyOf(error.code, error.message);
    const saying = this.#sayings.get(key) ?? { error, paths: new Set() };
    this.#sayings.set(key, saying);
    if (error.path !== undefined) saying.paths.add(error.path);
  }

  /** A job's error in the words of the endpoint; it itself where the endpoint had no part in it. */
  explain(error: PbError): PbError {
    const words = typeof error.cause === "string" ? error.cause : error.message;
    const saying = this.#sayings.get(keyOf(error.code, words));
    if (saying === undefined) return error;
    const { message, peer, hint, retryable, retryAfterMs } = saying.error;
    const options = { path: error.path, hint, retryable, retryAfterMs, cause: saying.error };
    // A path of the source's is none of the endpoint's: named with it, it would be a place that nobody wrote to.
    const isThere = error.path === undefined || saying.paths.has(error.path);
    if (isThere || peer === undefined) return new PbError(error.code, message, { ...options, peer });
    return new PbError(error.code, message.includes(peer) ? message : `${peer}: ${message}`, options);
  }
}

const keyOf = (code: string, words: string) => `${code}\0${words}`;
