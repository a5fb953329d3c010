/** One small request and its reply over a pool of connections, without a stream between: what a reply brings goes straight to where it is wanted. */
import type { Dispatcher } from "undici";
import { PbError } from "../model/error.ts";
import { aborted, whenAborted } from "./signals.ts";

/** Of what nobody has a place for: an error's XML, or a proxy's page. */
const MAX_TEXT_BYTES = 1024 * 1024;

export interface Exchange {
  readonly origin: string;
  readonly path: string;
  readonly method: "GET" | "HEAD" | "PUT";
  readonly headers: Readonly<Record<string, string>>;
  /** The pool's until the reply, and after an abort too. */
  readonly body?: Buffer;
  /** Where a success's content goes, exactly; what it throws ends the exchange. Absent: it is text. */
  readonly place?: (head: ReplyHead) => Uint8Array;
  /** What it is when another length comes than has a place; absent: as said below. */
  readonly otherLength?: () => PbError;
  readonly signal: AbortSignal;
}

export interface ReplyHead {
  readonly status: number;
  /** As undici gives them. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Names in lower case; of several of one name all, with commas. */
  header(name: string): string | undefined;
}

export interface Reply extends ReplyHead {
  /** What came and had no place. */
  readonly text: Buffer;
}

/** @throws PbError `aborted`, `protocol_violation` for more than was said, `connection_lost` for less; what undici throws */
export function exchange(dispatcher: Dispatcher, wanted: Exchange): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { origin, path, method, headers, body, signal } = wanted;
    const receiver = new Receiver(wanted, { resolve, reject });
    if (signal.aborted) return receiver.fail(aborted(signal));
    receiver.release = whenAborted(signal, receiver.stop);
    // undici ends the connection after each HEAD for the sake of servers that send a body (see backend/web/client.ts).
    const options = { origin, path, method, headers: { ...headers }, body: body ?? null, reset: false };
    dispatcher.dispatch(options, receiver);
  });
}

interface Settling {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (cause: unknown) => void;
}

class Receiver implements Dispatcher.DispatchHandler {
  readonly #wanted: Exchange;
  readonly #settling: Settling;
  #controller: Dispatcher.DispatchController | undefined;
  #head: ReplyHead | undefined;
  #into: Uint8Array | undefined;
  readonly #pieces: Buffer[] = [];
  #length = 0;
  #isOver = false;
  /** Called when it is over. */
  release: () => void = () => {};

  constructor(wanted: Exchange, settling: Settling) {
    this.#wanted = wanted;
    this.#settling = settling;
  }

  readonly stop = (): void => this.fail(aborted(this.#wanted.signal));

  fail(cause: Error): void {
    if (this.#isOver) return;
    this.#end();
    this.#settling.reject(cause);
    this.#controller?.abort(cause);
  }

  #end(): void {
    this.#isOver = true;
    this.release();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It was given up while it waited for a connection.
    if (this.#isOver) controller.abort(aborted(this.#wanted.signal));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    // What comes before the reply itself (RFC 9110 section 15.2).
    if (status < 200 || this.#isOver) return;
    const header = (name: string) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    };
    this.#head = { status, headers, header };
    if (status >= 300 || this.#wanted.place === undefined) return;
    try {
      this.#into = this.#wanted.place(this.#head);
    } catch (error) {
      this.fail(PbError.from(error));
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.#isOver) return;
    const most = this.#into?.length ?? MAX_TEXT_BYTES;
    if (this.#length + piece.length > most) {
      this.#tooLong(most);
      return;
    }
    if (this.#into) this.#into.set(piece, this.#length);
    else this.#pieces.push(piece);
    this.#length += piece.length;
  }

  #tooLong(most: number): void {
    if ((this.#head?.status ?? 0) < 300) {
      const other = this.#into && this.#wanted.otherLength?.();
      this.fail(other ?? new PbError("protocol_violation", `a reply is longer than ${most} bytes`));
      return;
    }
    // Of why a server refuses, this is enough.
    this.onResponseEnd();
    this.#controller?.abort(new PbError("aborted", "the rest is not wanted"));
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    if (this.#into && this.#length < this.#into.length) {
      const other = this.#wanted.otherLength?.();
      this.fail(other ?? new PbError("connection_lost", "the server sent less than it said"));
      return;
    }
    this.#end();
    const head = this.#head ?? { status: 0, headers: {}, header: () => undefined };
    this.#settling.resolve({ ...head, text: Buffer.concat(this.#pieces) });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error);
  }
}
