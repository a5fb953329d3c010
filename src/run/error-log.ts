import type { ErrorCode, PbError } from "../model/error.ts";

/** As many errors as a receipt lists; the others are counted. */
const MAX_LISTED = 1_000;
/** As many are remembered to know an error that comes a second time (from the job, then from its result). */
const MAX_REMEMBERED = 10_000;

/** A destination of which no other file can be hoped for. */
const ENDS_JOB: ReadonlySet<ErrorCode> = new Set(["no_space", "read_only"]);

/** Errors of a transfer, each once. */
export class ErrorLog {
  #listed: PbError[] = [];
  #seen = new Set<string>();
  /** Of attempts before: told already. */
  #told = new Set<string>();
  #count = 0;

  /** True when the error is new and listed: it is to be told. */
  add(error: PbError): boolean {
    // One thing happened to a path, or to the whole, however often and in whatever words it is told.
    const key = `${error.code}\0${error.path ?? ""}`;
    if (this.#seen.has(key) || this.#isListed(error)) return false;
    if (this.#seen.size < MAX_REMEMBERED) this.#seen.add(key);
    this.#count += 1;
    if (this.#listed.length >= MAX_LISTED) return false;
    this.#listed.push(error);
    return !this.#told.has(key);
  }

  /** What ended a job befell a file of it: told again of the whole, and with the path that the other side knows it by. */
  #isListed({ code, message, path }: PbError): boolean {
    if (!ENDS_JOB.has(code) || path?.startsWith("/")) return false;
    return this.#listed.some((listed) => {
      if (listed.code !== code || listed.path === undefined) return false;
      return path === undefined ? listed.message.endsWith(message) : listed.path.endsWith(`/${path}`);
    });
  }

  /** Another attempt looks at everything anew: what counts is what it finds. */
  nextAttempt(): void {
    this.#told = this.#seen;
    this.#seen = new Set();
    this.#listed = [];
    this.#count = 0;
  }

  get listed(): readonly PbError[] {
    return this.#listed;
  }

  get count(): number {
    return this.#count;
  }

  get notListed(): number {
    return this.#count - this.#listed.length;
  }
}
