/** Servers that lie, in the test's own process: refused or healed, and nothing of the user's goes where it should not. */

import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { Secret } from "../../model/endpoint.ts";
import type { Backend } from "../backend.ts";
import { collect, never, refused } from "../conformance/fixture.ts";
import { openFtp } from "./backend.ts";

type Answer = (argument: string, server: Fake) => string | undefined;

interface Fake {
  readonly port: number;
  readonly commands: string[];
  /** What the next data connection gets; "drop": it is reset in the middle. */
  data: { readonly bytes: string; readonly drop?: boolean };
  readonly stop: () => void;
}

const stops: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function listening(server: Server, host = "127.0.0.1"): Promise<number> {
  stops.push(() => void server.close());
  return new Promise((resolve) => {
    server.listen(0, host, () => resolve((server.address() as { port: number }).port));
  });
}

const USUAL: Readonly<Record<string, Answer>> = {
  USER: () => "331 password?",
  PASS: () => "230 in",
  FEAT: () => "211-Features:\r\n MLST type*;size*;modify*;\r\n SIZE\r\n MDTM\r\n REST STREAM\r\n211 End",
  TYPE: () => "200 ok",
  PWD: () => '257 "/" is it',
  SIZE: () => "213 100",
  MDTM: () => "213 20200101000000",
  MLST: () => "250-\r\n type=dir;modify=20200101000000; /\r\n250 end",
  REST: () => "350 go on",
};

/** A server that answers as told, one command a line; `RETR` and `MLSD` send `data`. */
async function fake(answers: Readonly<Record<string, Answer>> = {}, greeting = "220 hi"): Promise<Fake> {
  const sockets: Socket[] = [];
  const waiting: Socket[] = [];
  const dataServer = createServer((socket) => void waiting.push(socket.on("error", () => {})));
  const dataPort = await listening(dataServer);
  const all: Readonly<Record<string, Answer>> = {
    ...USUAL,
    EPSV: () => `229 here (|||${dataPort}|)`,
    ...answers,
  };

  async function transfer(control: Socket): Promise<void> {
    while (waiting.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const socket = waiting.shift();
    control.write("150 comes\r\n");
    const { bytes, drop } = self.data;
    socket?.write(Buffer.from(bytes, "latin1"), () => {
      if (drop) socket.resetAndDestroy();
      else socket.end();
      setTimeout(() => control.write(drop ? "426 broken\r\n" : "226 done\r\n"), 20);
    });
  }

  const server = createServer((control) => {
    sockets.push(control.on("error", () => {}));
    control.write(`${greeting}\r\n`);
    let rest = "";
    control.on("data", (chunk) => {
      rest += chunk.toString("latin1");
      for (let end = rest.indexOf("\r\n"); end >= 0; end = rest.indexOf("\r\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 2);
        self.commands.push(line);
        const [verb = "", ...words] = line.split(" ");
        const reply = all[verb]?.(words.join(" "), self);
        if (reply !== undefined) control.write(`${reply}\r\n`, "latin1");
        else if (verb === "RETR" || verb === "MLSD") void transfer(control);
        else control.write("500 no\r\n");
      }
    });
  });
  const stop = () => {
    for (const socket of [...sockets, ...waiting]) socket.destroy();
  };
  const self: Fake = { port: await listening(server), commands: [], data: { bytes: "" }, stop };
  stops.push(stop);
  return self;
}

async function open(server: Fake, settings: Readonly<Record<string, string>> = {}): Promise<Backend> {
  const backend = await openFtp(
    {
      kind: "ftp",
      settings: { host: "127.0.0.1", port: server.port, user: "u", tls: "off", ...settings },
      secret: async () => new Secret("s3cret"),
    },
    { name: "fake", home: "/nonexistent", env: {} },
  );
  stops.push(() => backend.close());
  return backend;
}

/** The first call of a backend connects. */
async function entered(opening: Promise<Backend>): Promise<unknown> {
  return (await opening).stat("", { follow: true, signal: never });
}

function chunksOf({ native }: Backend) {
  if (native.kind !== "chunks") throw new TypeError("no chunks");
  return native.chunks;
}

const KNOWN = { size: 100, mtimeNs: 0n };

describe("an FTP server that", () => {
  test("is not asked is not connected to, and one that is not there is told by the first call", async () => {
    const server = await fake();
    const backend = await open(server);
    expect(server.commands).toEqual([]);
    await backend.stat("", { follow: true, signal: never });
    expect(server.commands.length).toBeGreaterThan(0);

    const late = await open({ ...server, port: 1 });
    const error = await refused("unreachable", late.stat("d/f", { follow: true, signal: never }));
    expect(error).toMatchObject({ peer: "fake", path: "d/f", retryable: true });
  });

  test("lists what are no names is believed in none of them", async () => {
    const server = await fake();
    const backend = await open(server);
    const names = ["good", "../x", "/etc/passwd", "a/b", ""];
    server.data = { bytes: names.map((name) => `type=file;size=1; ${name}\r\n`).join("") };
    const listed = await collect(backend.list("d", { recursive: true, follow: false, signal: never }));
    expect(listed.entries.map(({ path }) => path)).toEqual(["good"]);
    expect(listed.errors.map(({ code }) => code)).toEqual(Array(4).fill("path_escapes"));
  });

  test("names another host for data is not sent there", async () => {
    let elsewhere = 0;
    const other = createServer((socket) => {
      elsewhere += 1;
      socket.destroy();
    });
    const otherPort = await listening(other, "127.0.0.2");
    const here = createServer((socket) => {
      socket.on("error", () => {}).end("type=file;size=1; here\r\n");
    });
    // The same port at the host of the control connection: there the client goes.
    await new Promise<void>((resolve, reject) => {
      here.once("error", reject).listen(otherPort, "127.0.0.1", resolve);
    });
    stops.push(() => void here.close());
    const pasv = `227 (127,0,0,2,${otherPort >> 8},${otherPort & 255})`;
    const server = await fake({
      EPSV: () => "500 no",
      PASV: () => pasv,
      MLSD: () => "150 comes\r\n226 done",
    });
    const backend = await open(server);
    const listed = await collect(backend.list("", { recursive: false, follow: false, signal: never }));
    expect(listed.entries.map(({ path }) => path)).toEqual(["here"]);
    expect(elsewhere).toBe(0);
    // The listener does listen.
    await new Promise((resolve) => connect(otherPort, "127.0.0.2").once("close", resolve).resume());
    expect(elsewhere).toBe(1);
  });

  test.each([
    ["less", 10],
    ["more", 200],
  ])("sends %s than it has said", async (_what, bytes) => {
    const server = await fake();
    const chunks = chunksOf(await open(server));
    server.data = { bytes: "x".repeat(bytes) };
    const options = { known: KNOWN, signal: never };
    await refused("source_changed", chunks.readWhole("f", Buffer.alloc(100), options));
    await using source = await chunks.open("f", options);
    await refused("source_changed", source.read(0, Buffer.alloc(100), never));
  });

  test("drops the data connection in the middle is asked again", async () => {
    const server = await fake();
    const chunks = chunksOf(await open(server));
    await using source = await chunks.open("f", { known: KNOWN, signal: never });
    server.data = { bytes: "x".repeat(10), drop: true };
    const error = await refused("connection_lost", source.read(0, Buffer.alloc(100), never));
    expect(error.retryable).toBe(true);
    server.data = { bytes: "y".repeat(60) };
    const into = Buffer.alloc(60);
    await source.read(40, into, never);
    expect(into.toString()).toBe("y".repeat(60));
    expect(server.commands).toContain("REST 40");
  });

  test("refuses TLS gets neither a name nor a password", async () => {
    const server = await fake({ AUTH: () => "502 no" });
    await refused("unsupported", entered(open(server, { tls: "explicit" })));
    expect(server.commands).toEqual(["AUTH TLS"]);
  });

  test("says yes to TLS and goes on in clear gets neither", async () => {
    const server = await fake({ AUTH: () => "234 go\r\n331 password?\r\n230 in" });
    await refused("protocol_violation", entered(open(server, { tls: "explicit" })));
    expect(server.commands.filter((line) => /USER|PASS/.test(line))).toEqual([]);
  });

  test("refuses the login is not told the password again, and no error tells it", async () => {
    const server = await fake({ PASS: () => "530 no\u001b[31m" });
    const error = await refused("unauthenticated", entered(open(server)));
    expect(error.hint).toContain("password");
    const told = `${error.message}${error.stack}${JSON.stringify(error)}`;
    for (const never of ["s3cret", "\u001b"]) expect(told).not.toContain(never);
  });

  test("speaks something else, or without end", async () => {
    await refused("protocol_violation", entered(open(await fake({}, "SSH-2.0-OpenSSH_9.2"))));
    await refused("protocol_violation", entered(open(await fake({}, `220-${"x".repeat(100_000)}`))));
  });

  test("is never sent a second command in a name", async () => {
    const server = await fake();
    const backend = await open(server);
    for (const name of ["a\r\nDELE b", "a\nb", "a\udcff"]) {
      await refused("invalid_path", backend.stat(name, { follow: false, signal: never }));
      await refused("invalid_path", backend.mkdir(name, { parents: true, signal: never }));
    }
    expect(server.commands.some((line) => line.includes("DELE"))).toBe(false);
  });
});

test("a server that takes no more is heard in its words, also by what is written after that", async () => {
  let full = false;
  const server = await fake({
    MLST: () => "550 nothing there",
    SIZE: () => (full ? "213 10" : "213 0"),
    STOR: () => `150 comes\r\n${full ? "452 disk full" : "226 done"}`,
  });
  const { native } = await open(server);
  if (native.kind !== "chunks") throw new TypeError("no chunks");
  const options = { size: 300, meta: { mtimeNs: 0n }, sync: false, nameTag: 7, signal: never };
  await using sink = await native.chunks.create("f", options);
  full = true;
  const piece = Buffer.alloc(100, 1);
  const writing = async () => {
    await sink.write(0, [piece], never);
    await sink.write(100, [piece], never);
    await sink.commit(never);
  };
  const first = await refused("no_space", writing());
  expect(first.message).toContain("disk full");
  const after = await refused("io_error", sink.write(100, [piece], never));
  expect(after.message).toMatch(/disk full.*10 bytes of 100 are there/);
  expect(after.hint).toContain("full");
});
