import { randomBytes } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect as connectTcp, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openRoot } from "./root.ts";
import { engine } from "./session.ts";
import type { JobResult, NativeSession, SendEntry, SendJobOptions } from "./types.ts";

let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "pb-session-"));
  await mkdir(join(scratch, "a"));
  await mkdir(join(scratch, "b"));
});

afterEach(() => rm(scratch, { recursive: true, force: true }));

const FILE: SendEntry = {
  root: 0,
  source: "f",
  target: "sub/f",
  kind: "file",
  size: 0,
  mtimeNs: 1_600_000_000_123_456_789n,
  mode: 0o640,
  uid: 0,
  gid: 0,
};

async function copy(
  from: NativeSession,
  to: NativeSession,
  { job = 1, senderLateMs = 0 } = {},
): Promise<JobResult> {
  const [source, target] = await Promise.all(
    ["a", "b"].map((name) =>
      openRoot({ directory: join(scratch, name), resolve: "beneath", writable: true }),
    ),
  );
  if (!source || !target) throw new Error("no roots");
  const common = { job, onProgress: () => {} };
  const receive = {
    base: "",
    exactName: false,
    overwrite: "always",
    fsync: true,
    perms: true,
    owner: false,
  } as const;
  const receiving = to.receive({ ...common, ...receive, root: target });
  await new Promise((resolve) => setTimeout(resolve, senderLateMs));
  const send: SendJobOptions = {
    ...common,
    roots: [source],
    chunkBytes: 0,
    parallelFiles: 0,
    follow: false,
    removeSources: false,
  };
  const sending = from.send(send);
  await sending.push([FILE]);
  sending.finish();
  const [result] = await Promise.all([sending.done, receiving.done]);
  source.close();
  target.close();
  return result;
}

const KEYS = { connectionId: 7n, clientRandom: randomBytes(32), serverRandom: randomBytes(32), suite: 1 };
const OPTIONS = {
  seal: true,
  lanes: 2,
  memoryBytes: 32 << 20,
  limitBytesPerSecond: 0,
  controller: "",
} as const;

test("a pair of sessions copies within the process", async () => {
  await writeFile(join(scratch, "a/f"), "hello");
  const [a, b] = engine.pair({ memoryBytes: 32 << 20, limitBytesPerSecond: 0 });
  const result = await copy(a, b);
  expect(result).toMatchObject({ state: "done", files: 1, bytes: 5 });
  expect(result.hashes.map((h) => [h.path, h.size])).toEqual([["sub/f", 5]]);
  expect(await readFile(join(scratch, "b/sub/f"), "utf8")).toBe("hello");
  await Promise.all([a.close(), b.close()]);
  expect(await a.closed).toBeUndefined();
});

test("a receiver may be ready before there is a sender", async () => {
  await writeFile(join(scratch, "a/f"), "hello");
  const [a, b] = engine.pair({ memoryBytes: 32 << 20, limitBytesPerSecond: 0 });
  expect(await copy(a, b, { senderLateMs: 100 })).toMatchObject({ state: "done", files: 1 });
  await Promise.all([a.close(), b.close()]);
});

test("a close that waits for a peer who is gone ends when it is told so", async () => {
  await using listener = await engine.listen({ host: "127.0.0.1", port: 0, onStream: () => {} });
  await using relay = await udpRelay(listener.port);
  const keys = { ...KEYS, connectionId: 8n, clientRandom: randomBytes(32) };
  const far = listener.register({ ...OPTIONS, keys });
  const connect = { ...OPTIONS, keys, transport: "udp", host: "127.0.0.1", port: relay.port } as const;
  const near = await engine.connect(connect, AbortSignal.timeout(10_000));
  relay.cut();
  const root = await openRoot({ directory: join(scratch, "a"), resolve: "beneath", writable: true });
  const sending = near.send({
    job: 1,
    onProgress: () => {},
    roots: [root],
    chunkBytes: 0,
    parallelFiles: 0,
    follow: false,
    removeSources: false,
  });
  // That is to be told to the peer, who never hears it.
  sending.abort("the server is gone");
  await sending.done;
  let isClosed = false;
  const closing = near.close().then(() => (isClosed = true));
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(isClosed).toBe(false);
  near.abandon();
  const patience = new Promise((resolve) => setTimeout(resolve, 3_000, "it still waits"));
  expect(await Promise.race([closing, patience])).toBe(true);
  root.close();
  await far.close();
});

/** Passes datagrams on, both ways, until it is cut; each lane has a port of its own, as at a NAT. */
async function udpRelay(to: number) {
  const door = createSocket("udp4");
  const fars = new Map<number, UdpSocket>();
  let isCut = false;
  const farOf = (client: number) => {
    const known = fars.get(client);
    if (known) return known;
    const far = createSocket("udp4");
    fars.set(client, far);
    return far.on("message", (message) => {
      if (!isCut) door.send(message, client, "127.0.0.1");
    });
  };
  door.on("message", (message, { port }) => {
    if (!isCut) farOf(port).send(message, to, "127.0.0.1");
  });
  await new Promise<void>((done) => door.bind(0, "127.0.0.1", done));
  return {
    port: door.address().port,
    cut: () => {
      isCut = true;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of [door, ...fars.values()]) socket.close();
    },
  };
}

for (const transport of ["udp", "tcp"] as const) {
  for (const seal of [true, false]) {
    test(`over ${transport}, ${seal ? "sealed" : "in clear"}, both ways through one session`, async () => {
      const content = randomBytes(5_000_001);
      await writeFile(join(scratch, "a/f"), content);
      await using listener = await engine.listen({ host: "127.0.0.1", port: 0, onStream: () => {} });
      const keys = { ...KEYS, clientRandom: randomBytes(32) };
      const far = listener.register({ ...OPTIONS, seal, keys });
      const connect = { ...OPTIONS, seal, keys, transport, host: "localhost", port: listener.port };
      const near = await engine.connect({ ...connect, host: "127.0.0.1" }, AbortSignal.timeout(10_000));
      expect(near.transport).toBe(transport);
      expect(await copy(near, far)).toMatchObject({ state: "done", bytes: content.length });
      expect((await readFile(join(scratch, "b/sub/f"))).equals(content)).toBe(true);
      await rm(join(scratch, "b/sub"), { recursive: true });
      expect(await copy(far, near, { job: 2 })).toMatchObject({ state: "done", files: 1 });
      expect((await readFile(join(scratch, "b/sub/f"))).equals(content)).toBe(true);
      // A lane is sampled twenty times a second; these copies may take less than one such time.
      const sent = () => near.samples().reduce((sum, s) => sum + s.bytesSent, 0);
      await expect.poll(sent, { timeout: 5_000 }).toBeGreaterThan(content.length);
      await near.close();
      await far.close();
    });
  }
}

test("a connection that is no lane is handed out untouched", async () => {
  const handed = new Promise<string>((resolve) => {
    void engine
      .listen({
        host: "127.0.0.1",
        port: 0,
        onStream: (fd) => {
          const socket = new Socket({ fd });
          socket.once("data", (data) => {
            resolve(data.toString());
            socket.destroy();
          });
        },
      })
      .then((listener) =>
        connectTcp(listener.port, "127.0.0.1", function (this: Socket) {
          this.end("GET / HTTP/1.0\r\n");
          this.once("close", () => listener.close());
        }),
      );
  });
  expect(await handed).toBe("GET / HTTP/1.0\r\n");
});
