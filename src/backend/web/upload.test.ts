import { expect, it } from "vitest";
import { PbError } from "../../model/error.ts";
import { never } from "../conformance/fixture.ts";
import type { SendStream } from "../fetching.ts";
import type { SmallAnswer, WebClient, WebRequest } from "./client.ts";
import { startUpload } from "./upload.ts";

const MEMORY = { offset: 0, length: 10 };
const PUT = { path: "a", size: 20 };
const ANSWER: SmallAnswer = { status: 201, header: () => undefined, url: new URL("http://x/") };

/** A client whose engine does as `putStream` says, and that notes what goes through JavaScript. */
function clientWith(putStream: NonNullable<WebClient["putStream"]>) {
  const piped: WebRequest[] = [];
  const client = {
    peer: "box",
    putStream,
    async send(request: WebRequest) {
      piped.push(request);
      for await (const _ of request.body as AsyncIterable<Uint8Array>);
      return { ...ANSWER, drop: () => {} };
    },
  } as Partial<WebClient> as WebClient;
  return { client, piped };
}

const streamThat = (takes: boolean): SendStream => ({
  push: async () => takes,
  finish: () => {},
  answer: new Promise(() => {}),
});

it("goes through JavaScript, from its beginning, where the engine can't", async () => {
  const { client, piped } = clientWith(async () => undefined);
  const upload = startUpload(client, PUT);
  expect(await upload.writeFrom(MEMORY, never)).toBe(false);
  await upload.write([Buffer.alloc(10)], never);
  // Not asked a second time in the middle.
  expect(await upload.writeFrom(MEMORY, never)).toBe(false);
  await upload.write([Buffer.alloc(10)], never);
  await upload.finish(never);
  expect([upload.sent, piped.length]).toEqual([20, 1]);
  expect(piped[0]?.headers).toMatchObject({ "content-length": "20" });
});

it("is not gone on with in another way once a byte went", async () => {
  const { client, piped } = clientWith(async ({ onBegun }) => {
    onBegun(streamThat(true));
    return new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 20));
  });
  const upload = startUpload(client, PUT);
  expect(await upload.writeFrom(MEMORY, never)).toBe(true);
  await expect(upload.write([Buffer.alloc(10)], never)).rejects.toThrow(
    expect.objectContaining({ code: "internal" }),
  );
  await expect(upload.finish(never)).rejects.toThrow(expect.objectContaining({ code: "protocol_violation" }));
  expect(piped).toEqual([]);
});

it("says why the server would have no more, at each later call, too", async () => {
  const refusal = new PbError("no_space", "full", { peer: "box" });
  const { client } = clientWith(async ({ onBegun }) => {
    onBegun(streamThat(false));
    throw refusal;
  });
  const upload = startUpload(client, PUT);
  for (let times = 0; times < 2; times += 1)
    await expect(upload.writeFrom(MEMORY, never)).rejects.toBe(refusal);
  await expect(upload.finish(never)).rejects.toBe(refusal);
  await upload.stop();
});

it("is the business of JavaScript while nobody knows how long it is", async () => {
  const { client, piped } = clientWith(() => Promise.reject(new Error("asked")));
  const upload = startUpload(client, { ...PUT, size: Number.POSITIVE_INFINITY });
  expect(await upload.writeFrom(MEMORY, never)).toBe(false);
  await upload.finish(never);
  expect(piped[0]?.headers).not.toHaveProperty("content-length");
});
