import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { removeFolders, testFolder } from "../../test/support/server.ts";
import { openServerState } from "../credential/server-state.ts";
import { createSecure } from "./secure-server.ts";

const undo: (() => void)[] = [];
afterEach(() => {
  for (const each of undo.splice(0)) each();
});
afterAll(removeFolders);

/** A server with a short handshake; its port, and what it reported. */
async function secure(handshakeMs: number): Promise<{ port: number; problems: string[] }> {
  const { server, ca } = await openServerState(await testFolder());
  const problems: string[] = [];
  const made = createSecure({
    credential: server,
    authority: ca.certificate,
    handler: () => {},
    onSecure: () => {},
    onProblem: (what) => problems.push(what),
    handshakeMs,
  });
  const listener = createServer((socket: Socket) => made.accept(socket, "peer"));
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  undo.push(() => {
    made.close();
    listener.close();
  });
  return { port: (listener.address() as { port: number }).port, problems };
}

describe("a handshake", () => {
  it("is cut off at its deadline, however the bytes drip", async () => {
    const { port, problems } = await secure(300);
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    // The start of a ClientHello, a byte at a time: each would restart an idle timer.
    const hello = Buffer.from([
      0x16,
      3,
      1,
      1,
      0,
      1,
      0,
      0,
      0xfc,
      3,
      3,
      ...Array.from({ length: 200 }, () => 7),
    ]);
    let at = 0;
    const drip = setInterval(() => socket.write(hello.subarray(at, ++at)), 20);
    undo.push(() => clearInterval(drip));
    const started = performance.now();
    await once(socket, "close");
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(problems).toContain("dropped: no handshake in time");
  });

  it("that is oldest goes when there are too many", async () => {
    const { port, problems } = await secure(60_000);
    const first = connect(port, "127.0.0.1");
    first.on("error", () => {});
    first.resume();
    await once(first, "connect");
    const gone = once(first, "close");
    const others = Array.from({ length: 520 }, () => connect(port, "127.0.0.1").on("error", () => {}));
    undo.push(() => {
      for (const socket of others) socket.destroy();
    });
    await gone;
    expect(problems).toContain("dropped: too many handshakes");
    expect(others.at(-1)?.destroyed).toBe(false);
  });
});
