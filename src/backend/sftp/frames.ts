import { PbError } from "../../model/error.ts";
import { FXP } from "./packets.ts";

/** OpenSSH's bound is 256 KiB; a listing of long names from another server may be somewhat longer. */
const MAX_FRAME_BYTES = 1024 * 1024;
/** length, type, request id. */
const HEAD_BYTES = 9;

export interface FrameHandlers {
  /** Where the data of this read goes; undefined: nobody waits for it any more. */
  sink(id: number): Uint8Array | undefined;
  /** `bytes` of the data were put into the sink. @throws PbError `protocol_violation` */
  data(id: number, bytes: number): void;
  reply(type: number, id: number, body: Buffer): void;
}

/** Cuts what comes from a server into replies; data goes straight to where it is wanted, copied once. */
export interface Frames {
  /** @throws PbError `protocol_violation` */
  push(chunk: Buffer): void;
}

export function createFrames(handlers: FrameHandlers): Frames {
  const head = Buffer.alloc(HEAD_BYTES + 4);
  let headFilled = 0;
  let frame: { type: number; id: number; left: number; body: Buffer; filled: number } | undefined;
  let data: { id: number; left: number; bytes: number; into: Uint8Array | undefined } | undefined;

  /** Takes up to `want` bytes of the head; how many. */
  function fillHead(chunk: Buffer, at: number, want: number): number {
    const taken = Math.min(want - headFilled, chunk.length - at);
    chunk.copy(head, headFilled, at, at + taken);
    headFilled += taken;
    return taken;
  }

  function begin(): void {
    const length = head.readUInt32BE(0);
    const type = head[4] ?? 0;
    // VERSION has a version where others have an id.
    const id = head.readUInt32BE(5);
    if (length < 5 || length > MAX_FRAME_BYTES) throw bad(`a reply of ${length} bytes`);
    frame = { type, id, left: length - 5, body: Buffer.allocUnsafe(0), filled: 0 };
    headFilled = 0;
    if (type === FXP.data) {
      headFilled = HEAD_BYTES;
      if (length < 9) throw bad("data without a length");
    } else frame.body = Buffer.allocUnsafe(length - 5);
  }

  function beginData(id: number, left: number): void {
    const bytes = head.readUInt32BE(HEAD_BYTES);
    if (bytes !== left - 4) throw bad("data whose length is not that of its packet");
    const into = handlers.sink(id);
    if (into !== undefined && bytes > into.length) throw bad("more data than was asked for");
    data = { id, left: bytes, bytes, into };
    frame = undefined;
    headFilled = 0;
    if (bytes === 0) endData();
  }

  function endData(): void {
    const done = data;
    data = undefined;
    if (done) handlers.data(done.id, done.bytes);
  }

  function step(chunk: Buffer, at: number): number {
    if (data !== undefined) {
      const taken = Math.min(data.left, chunk.length - at);
      // Asked anew: who waited may have gone meanwhile, and its buffer with it.
      const into = data.into && handlers.sink(data.id);
      into?.set(chunk.subarray(at, at + taken), data.bytes - data.left);
      data.left -= taken;
      if (data.left === 0) endData();
      return taken;
    }
    if (frame === undefined) {
      const taken = fillHead(chunk, at, HEAD_BYTES);
      if (headFilled === HEAD_BYTES) begin();
      return taken + finish();
    }
    if (frame.type === FXP.data) {
      const taken = fillHead(chunk, at, HEAD_BYTES + 4);
      if (headFilled === HEAD_BYTES + 4) beginData(frame.id, frame.left);
      return taken;
    }
    const taken = Math.min(frame.left, chunk.length - at);
    chunk.copy(frame.body, frame.filled, at, at + taken);
    frame.filled += taken;
    frame.left -= taken;
    return taken + finish();
  }

  /** Hands over a reply that is whole. */
  function finish(): 0 {
    if (frame !== undefined && frame.type !== FXP.data && frame.left === 0) {
      const { type, id, body } = frame;
      frame = undefined;
      handlers.reply(type, id, body);
    }
    return 0;
  }

  return {
    push(chunk) {
      for (let at = 0; at < chunk.length; ) at += step(chunk, at);
    },
  };
}

function bad(what: string): PbError {
  return new PbError("protocol_violation", `the SFTP server sent ${what}`);
}
