/**
 * What a server may answer before anybody reads it: the SDK takes the XML of a reply into memory whole, however long it is, and passes over a DTD.
 */
import { Readable } from "node:stream";
import type { S3Client } from "@aws-sdk/client-s3";
import { PbError } from "../../model/error.ts";

/** A page of a thousand keys of 1,024 bytes, each byte escaped, is 3 MB and a little. */
const MAX_REPLY_BYTES = 16 * 1024 * 1024;

interface Reply {
  readonly statusCode: number;
  body?: unknown;
}

/** Every reply but the content of objects is read here, bounded, and refused where it brings definitions of its own. */
export function guardReplies(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args);
        const reply = result.response as Reply;
        const isContent = commandName === "GetObjectCommand" && reply.statusCode < 300;
        if (!isContent && reply.body instanceof Readable) {
          const bytes = await readBounded(reply.body);
          refuseDefinitions(bytes);
          reply.body = Readable.from(trimmed(bytes));
        }
        return result;
      },
    // Nearest to the wire.
    { step: "deserialize", priority: "low", name: "guardReplies" },
  );
}

async function readBounded(body: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  // Leaving the loop ends the connection.
  for await (const piece of body as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MAX_REPLY_BYTES)
      throw new PbError("protocol_violation", `a reply is longer than ${MAX_REPLY_BYTES} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, length);
}

/** An error that comes with a success is known to the SDK by the very last bytes: none but the XML's may be there. */
function trimmed(bytes: Buffer): readonly Buffer[] {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] ?? 0) <= 0x20) end -= 1;
  return end === 0 ? [] : [bytes.subarray(0, end)];
}

/** S3 has none; in text "<" is always escaped. */
function refuseDefinitions(bytes: Buffer): void {
  if (/<!(DOCTYPE|ENTITY)/i.test(bytes.toString("latin1")))
    throw new PbError("protocol_violation", "a reply brings definitions of its own (DTD)");
}
