/** Servers that lie, in the test's own process: refused or healed, and nothing of the user's goes where it should not. */

import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2, { type Connection, type SFTPWrapper } from "ssh2";
import { afterEach, describe, expect, test } from "vitest";
import { Secret } from "../../model/endpoint.ts";
import type { Backend } from "../backend.ts";
import { collect, never, refused } from "../conformance/fixture.ts";
import { openSftp } from "./backend.ts";

const OK = 0;
const EOF = 1;
const FAILURE = 4;

interface Fake {
  readonly port: number;
  /** Passwords that were tried. */
  readonly told: string[];
  readonly connections: Connection[];
}

const stops: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Files are 100 bytes for who asks; all else as `lies` has it. */
async function fake(lies: (sftp: SFTPWrapper, connection: Connection) => void): Promise<Fake> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const hostKeys = [privateKey.export({ type: "pkcs1", format: "pem" })];
  const told: string[] = [];
  const connections: Connection[] = [];
  const server = new ssh2.Server({ hostKeys }, (connection) => {
    connections.push(connection);
    connection.on("error", () => {});
    connection.on("authentication", (context) => {
      if (context.method !== "password") return context.reject(["password"]);
      told.push(context.password);
      return context.accept();
    });
    connection.on("session", (accept) => {
      accept().on("sftp", (acceptSftp) => {
        const sftp = acceptSftp();
        sftp.on("REALPATH", (id) => sftp.name(id, [{ filename: "/", longname: "/", attrs: folder }]));
        sftp.on("OPEN", (id) => sftp.handle(id, Buffer.from("h")));
        sftp.on("CLOSE", (id) => sftp.status(id, OK));
        sftp.on("FSTAT", (id) => sftp.attrs(id, file));
        sftp.on("STAT", (id) => sftp.attrs(id, folder));
        sftp.on("LSTAT", (id) => sftp.attrs(id, folder));
        lies(sftp, connection);
      });
    });
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
  stops.push(() => {
    for (const connection of connections) connection.end();
    server.close();
  });
  return { port, told, connections };
}

const times = { uid: 0, gid: 0, atime: 1_600_000_000, mtime: 1_600_000_000 };
const file = { ...times, mode: 0o100644, size: 100 };
const folder = { ...times, mode: 0o040755, size: 0 };
const KNOWN = { size: 100, mtimeNs: 0n };

async function open(server: Fake, host_key = "accept-new"): Promise<Backend> {
  const home = await mkdtemp(join(tmpdir(), "pb-hostile-"));
  stops.push(() => rm(home, { recursive: true, force: true }));
  const backend = await openSftp(
    {
      kind: "sftp",
      settings: { host: "127.0.0.1", port: server.port, user: "u", host_key, agent: false },
      secret: async (name) => (name === "password" ? new Secret("s3cret") : undefined),
    },
    { name: "fake", home, env: { HOME: home } },
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

describe("an SFTP server that", () => {
  test("is not asked is not connected to, and one that is not there is told by the first call", async () => {
    const server = await fake(() => {});
    const backend = await open(server);
    expect(server.connections).toHaveLength(0);
    await backend.stat("", { follow: true, signal: never });
    expect(server.connections).toHaveLength(1);

    const late = await open({ ...server, port: 1 });
    const error = await refused("unreachable", late.stat("d/f", { follow: true, signal: never }));
    expect(error).toMatchObject({ peer: "fake", path: "d/f", retryable: true });
  });

  test("lists what are no names is believed in none of them", async () => {
    const names = ["good", "../x", "/etc/passwd", "a/b", ""];
    const server = await fake((sftp) => {
      let sent = false;
      sftp.on("OPENDIR", (id) => sftp.handle(id, Buffer.from("d")));
      sftp.on("READDIR", (id) => {
        if (sent) return sftp.status(id, EOF);
        sent = true;
        return sftp.name(
          id,
          names.map((filename) => ({ filename, longname: filename, attrs: file })),
        );
      });
    });
    const backend = await open(server);
    const listed = await collect(backend.list("d", { recursive: true, follow: false, signal: never }));
    expect(listed.entries.map(({ path }) => path)).toEqual(["good"]);
    expect(listed.errors.map(({ code }) => code)).toEqual(Array(4).fill("path_escapes"));
  });

  test("has less than it has said", async () => {
    const server = await fake((sftp) => {
      sftp.on("READ", (id, _handle, offset, length) => {
        if (offset >= 10) sftp.status(id, EOF);
        else sftp.data(id, Buffer.alloc(Math.min(length, 10 - offset), "x"));
      });
    });
    const chunks = chunksOf(await open(server));
    const options = { known: KNOWN, signal: never };
    await refused("source_changed", chunks.readWhole("f", Buffer.alloc(100), options));
    await using source = await chunks.open("f", options);
    await refused("source_changed", source.read(0, Buffer.alloc(100), never));
    await refused("source_changed", chunks.open("f", { known: { size: 99, mtimeNs: 0n }, signal: never }));
  });

  test("sends more than was asked for", async () => {
    const server = await fake((sftp) => {
      sftp.on("READ", (id, _handle, _offset, length) => sftp.data(id, Buffer.alloc(length + 1, "x")));
    });
    const chunks = chunksOf(await open(server));
    const around = Buffer.alloc(300, "-");
    const into = around.subarray(100, 200);
    await refused("protocol_violation", chunks.readWhole("f", into, { known: KNOWN, signal: never }));
    expect(around.subarray(0, 100).toString()).toBe("-".repeat(100));
    expect(around.subarray(200).toString()).toBe("-".repeat(100));
  });

  test("gives a byte at a time is read to the end", async () => {
    const server = await fake((sftp) => {
      sftp.on("READ", (id, _handle, offset) => sftp.data(id, Buffer.from([offset])));
    });
    const into = Buffer.alloc(100);
    await chunksOf(await open(server)).readWhole("f", into, { known: KNOWN, signal: never });
    expect([...into]).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  test("drops the connection in the middle is asked again, over another", async () => {
    let drops = 1;
    const server = await fake((sftp, connection) => {
      sftp.on("READ", (id, _handle, _offset, length) => {
        if (drops-- > 0) connection.end();
        else sftp.data(id, Buffer.alloc(length, "y"));
      });
    });
    await using source = await chunksOf(await open(server)).open("f", { known: KNOWN, signal: never });
    const into = Buffer.alloc(100);
    const error = await refused("connection_lost", source.read(0, into, never));
    expect(error).toMatchObject({ retryable: true, path: "f", peer: "fake" });
    await source.read(0, into, never);
    expect(into.toString()).toBe("y".repeat(100));
    expect(server.connections).toHaveLength(2);
  });

  test("has fewer bytes of an upload than were written", async () => {
    const server = await fake((sftp) => {
      let removed = 0;
      sftp.removeAllListeners("LSTAT").on("LSTAT", (id) => sftp.status(id, 2));
      sftp.on("WRITE", (id) => sftp.status(id, OK));
      sftp.on("FSETSTAT", (id) => sftp.status(id, OK));
      sftp.on("REMOVE", (id) => {
        removed += 1;
        sftp.status(id, removed > 0 ? OK : FAILURE);
      });
      sftp.on("RENAME", () => expect.fail("it is given the final name"));
    });
    const chunks = chunksOf(await open(server));
    const whole = { meta: { mtimeNs: 0n }, sync: true, signal: never };
    await refused("verification_failed", chunks.writeWhole("f", Buffer.alloc(101), whole));
    await using sink = await chunks.create("f", { ...whole, size: 101 });
    await sink.write(0, [Buffer.alloc(101)], never);
    await refused("verification_failed", sink.commit(never));
  });

  test("shows a key that is not known is told no password", async () => {
    const server = await fake(() => {});
    await refused("fingerprint_mismatch", entered(open(server, "")));
    await refused("fingerprint_mismatch", entered(open(server, `SHA256:${"A".repeat(43)}`)));
    expect(server.told).toEqual([]);
    await entered(open(server));
    expect(server.told).toEqual(["s3cret"]);
  });
});
