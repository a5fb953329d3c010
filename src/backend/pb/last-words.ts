/** What of an HTTP/2 stream matters here. */
interface Spoken {
  readonly writableFinished: boolean;
  readonly destroyed: boolean;
  once(event: "finish" | "close", listener: () => void): unknown;
}

/** The calls of a connection whose answers nobody waits for, among all its streams. */
export class LastWords {
  readonly #streams = new Set<Spoken>();
  readonly #words = new Set<Promise<void>>();
  readonly #waiting: ((stream: Spoken) => void)[] = [];

  /** To be told of every request that is made. */
  made(stream: Spoken): void {
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    for (const tell of this.#waiting.splice(0)) tell(stream);
  }

  /** Makes a call, and resolves when its request has left this process, or it has failed. */
  async say(call: () => Promise<unknown>): Promise<void> {
    const request = new Promise<Spoken>((resolve) => this.#waiting.push(resolve));
    const answered = call().then(
      () => undefined,
      () => undefined,
    );
    this.#words.add(answered);
    void answered.then(() => this.#words.delete(answered));
    await Promise.race([answered, request.then(hasLeft)]);
  }

  /** All of them answered, when nothing else is under way; undefined when none is open, or others are. */
  get answered(): Promise<unknown> | undefined {
    if (this.#words.size === 0 || this.#streams.size > this.#words.size) return undefined;
    return Promise.all(this.#words);
  }
}

/** The whole request was handed to the socket, or never will be. */
async function hasLeft(stream: Spoken): Promise<void> {
  if (stream.writableFinished || stream.destroyed) return;
  await new Promise<void>((resolve) => {
    stream.once("finish", resolve);
    stream.once("close", resolve);
  });
}
