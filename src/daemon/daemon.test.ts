import { mkdir } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { removeFolders, testFolder } from "../../test/support/server.ts";
import { FileService } from "../gen/packetboat/v1/file_pb.ts";
import type { Check, ServerReady } from "../model/actions.ts";
import { fromConnectError } from "../wire/connect.ts";
import { type Daemon, openDaemon } from "./daemon.ts";

/** A server and a client over the real engine, in one process. */
let folder: string;
let root: string;
let server: Daemon;
let client: Daemon;
let ready: ServerReady;
let stopped: Promise<void>;
const stop = new AbortController();
const signal = new AbortController().signal;

beforeAll(async () => {
  folder = await testFolder();
  root = join(folder, "root");
  await mkdir(root);
  server = openDaemon({ version: "1.2.3", env: { PB_HOME: join(folder, "server") } });
  client = openDaemon({ version: "1.2.3", env: { PB_HOME: join(folder, "client") } });
  ready = await new Promise((resolve, reject) => {
    stopped = server.server.serve({
      roots: [root],
      listen: "127.0.0.1:0",
      logLevel: "silent",
      drainSeconds: 1,
      signal: stop.signal,
      onReady: resolve,
    });
    stopped.catch(reject);
  });
  await client.remotes.add("box", ready.invite ?? "", { replace: false, signal });
});

afterAll(async () => {
  await client.close();
  stop.abort();
  await stopped;
  await server.close();
  await removeFolders();
});

describe("a daemon", () => {
  it("works on local files and on a remote's with the same calls", async () => {
    const files = createClient(FileService, client.transport);
    const here = { remote: "", path: Buffer.from(join(root, "made")) };
    const there = { remote: "box", path: Buffer.from("/made") };
    expect((await files.mkdir({ location: here })).created).toBe(true);
    const [a, b] = await Promise.all([files.stat({ location: here }), files.stat({ location: there })]);
    expect(a.entry?.inode).toBe(b.entry?.inode);
    await files.touch({
      location: { remote: ready.port ? `127.0.0.1:${ready.port}` : "", path: Buffer.from("/made/x") },
    });
    const renamed = files.rename({ source: there, destination: here });
    await expect(renamed.catch((error) => Promise.reject(fromConnectError(error)))).rejects.toThrow(
      expect.objectContaining({ code: "cross_device" }),
    );
    const missing = files.stat({ location: { remote: "box", path: Buffer.from("/made/none") } });
    await expect(missing.catch((error) => Promise.reject(fromConnectError(error)))).rejects.toThrow(
      expect.objectContaining({ code: "not_found", path: "/made/none", peer: "box" }),
    );
    expect(await files.remove({ location: there, recursive: true })).toMatchObject({
      files: 1n,
      directories: 1n,
    });
  });

  it("answers /healthz through the native listener", async () => {
    const status = new Promise((resolve, reject) => {
      request(
        { host: "127.0.0.1", port: ready.port, path: "/healthz", rejectUnauthorized: false },
        (response) => resolve(response.statusCode),
      )
        .on("error", reject)
        .end();
    });
    expect(await status).toBe(200);
  });

  it("checks this machine and the way to a remote", async () => {
    const checks: Check[] = [];
    for await (const check of client.doctor.check({ remote: "box", signal })) checks.push(check);
    expect(checks.map(({ name }) => name)).toEqual([
      "identity",
      "socket buffers",
      "gso/gro",
      "ebpf",
      "disk",
      "descriptors",
      "tls",
      "clock",
      "mtu",
      "udp",
    ]);
    const named = Object.fromEntries(checks.map((check) => [check.name, check]));
    for (const name of ["identity", "tls", "clock", "udp"])
      expect(named[name]).toMatchObject({ status: "ok" });
    for (const { status, fix } of checks)
      expect(fix === undefined).toBe(status === "ok" || status === "skipped");
    const without: Check[] = [];
    for await (const check of client.doctor.check({ signal })) without.push(check);
    expect(without.filter(({ status }) => status === "skipped").map(({ name }) => name)).toEqual(
      expect.arrayContaining(["tls", "clock", "mtu", "udp"]),
    );
  });
});
