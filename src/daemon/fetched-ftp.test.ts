/** A file that comes from an FTP server in clear: its content past JavaScript, and what the server says about it not. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, USER } from "../../test/servers/accounts.ts";
import * as proftpd from "../../test/servers/proftpd.ts";
import * as vsftpd from "../../test/servers/vsftpd.ts";
import type { Backend } from "../backend/backend.ts";
import { openFtp } from "../backend/ftp/backend.ts";
import type { EndpointTools } from "../backend/registry.ts";
import { Secret } from "../model/endpoint.ts";
import { openFetcher } from "../native/fetch.ts";
import { type Ended, type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

const MIB = 1024 * 1024;
const SIZE = 9 * MIB + 54_321;
const CONTENT = Buffer.from(Uint8Array.from({ length: SIZE }, (_, n) => (n * 2_654_435) >>> 8));

/** What of a RETR's content comes over its data connection, and how that ends; what the server says then. */
interface Retrieved {
  readonly content: Buffer;
  readonly end: "close" | "reset" | "nothing";
  readonly reply: string;
}

type Trick = (offset: number, times: number) => Partial<Retrieved>;

interface Odd {
  readonly replies?: FtpServer["replies"];
  readonly farMs?: number;
  readonly content?: Buffer;
}

class FtpServer {
  /** Where each RETR began. */
  readonly offsets: number[] = [];
  /** Data connections, as they ended. */
  readonly ended: Promise<void>[] = [];
  readonly replies: Readonly<Record<string, (port: number) => string>>;
  /** How long a reply to FEAT takes: by that a server is known to be far. */
  readonly #farMs: number;
  readonly #content: Buffer;
  readonly #trick: Trick;
  readonly #sockets = new Set<Socket>();
  readonly #data: Server;
  readonly #control: Server;

  constructor(trick: Trick, { replies = {}, farMs = 0, content = CONTENT }: Odd = {}) {
    this.#trick = trick;
    this.#farMs = farMs;
    this.#content = content;
    this.replies = replies;
    const waiting: ((socket: Socket) => void)[] = [];
    const there: Socket[] = [];
    this.#data = createServer((socket) => {
      this.#keep(socket);
      this.ended.push(new Promise((resolve) => socket.once("close", () => resolve())));
      const next = waiting.shift();
      if (next) next(socket);
      else there.push(socket);
    });
    const nextData = () =>
      new Promise<Socket>((resolve) => {
        const socket = there.shift();
        if (socket) resolve(socket);
        else waiting.push(resolve);
      });
    this.#control = createServer((control) => this.#serve(this.#keep(control), nextData));
  }

  async start(): Promise<number> {
    const listen = (server: Server) =>
      new Promise<number>((resolve) => {
        server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
      });
    await listen(this.#data);
    return listen(this.#control);
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket.on("error", () => {}));
    return socket;
  }

  #serve(control: Socket, nextData: () => Promise<Socket>): void {
    const say = (line: string) => control.write(`${line}\r\n`);
    let rest = "";
    let offset = 0;
    say("220 hi");
    control.on("data", (bytes) => {
      rest += bytes;
      for (let end = rest.indexOf("\r\n"); end >= 0; end = rest.indexOf("\r\n")) {
        const [verb = "", argument = ""] = rest.slice(0, end).split(" ");
        rest = rest.slice(end + 2);
        if (verb === "REST") offset = Number(argument);
        if (verb === "RETR") {
          void this.#send(offset, say, nextData);
          offset = 0;
        } else if (verb === "FEAT") setTimeout(() => say(this.#replyTo(verb)), this.#farMs);
        else say(this.#replyTo(verb));
      }
    });
  }

  #replyTo(verb: string): string {
    const { port } = this.#data.address() as AddressInfo;
    const usual: Readonly<Record<string, string>> = {
      USER: "230 in",
      FEAT: "211-Features:\r\n SIZE\r\n MDTM\r\n211 End",
      TYPE: "200 ok",
      PWD: '257 "/"',
      SIZE: `213 ${this.#content.length}`,
      MDTM: "213 20200101000000",
      EPSV: `229 (|||${port}|)`,
      REST: "350 go on",
    };
    return this.replies[verb]?.(port) ?? usual[verb] ?? "500 no";
  }

  async #send(offset: number, say: (line: string) => void, nextData: () => Promise<Socket>): Promise<void> {
    this.offsets.push(offset);
    const usual: Retrieved = { content: this.#content.subarray(offset), end: "close", reply: "226 done" };
    const { content, end, reply } = { ...usual, ...this.#trick(offset, this.offsets.length) };
    const data = await nextData();
    say("150 comes");
    data.write(content, () => {
      if (end === "close") data.end();
      // What is still on its way then would be lost.
      if (end === "reset") setTimeout(() => data.resetAndDestroy(), 200);
      if (end !== "nothing") say(reply);
    });
  }

  stop(): void {
    this.#data.close();
    this.#control.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

const remotes: Record<string, () => Promise<Backend>> = {};
let loop: Loopback;
let count = 0;
let servers: FtpServer[] = [];
beforeAll(async () => {
  loop = await startLoopback({ remotes });
});
afterEach(() => {
  for (const server of servers) server.stop();
  servers = [];
});
afterAll(() => loop[Symbol.asyncDispose]());

interface Fetched extends Ended {
  readonly server: FtpServer;
  /** Connections that were read past JavaScript, by their hosts. */
  readonly hosts: readonly string[];
  /** What is in its folder. */
  readonly there: readonly string[];
  readonly file: () => Promise<Buffer>;
}

async function fetched(
  trick: Trick,
  { signal, ...odd }: Odd & { readonly signal?: AbortSignal } = {},
): Promise<Fetched> {
  const server = new FtpServer(trick, odd);
  servers.push(server);
  const port = await server.start();
  const received = await receivedFrom({ host: "127.0.0.1", port }, "/big", signal);
  return { ...received, server };
}

async function receivedFrom(
  settings: Readonly<Record<string, string | number>>,
  path: string,
  signal?: AbortSignal,
): Promise<Omit<Fetched, "server">> {
  const name = "abcdefghijklmnopqrstuvwxyz".charAt(count++);
  const hosts: string[] = [];
  const spied: EndpointTools["openFetcher"] = (options) => {
    const fetcher = openFetcher(options);
    const receive: typeof fetcher.receive = (from) => {
      hosts.push(from.host);
      return fetcher.receive(from);
    };
    return Object.assign(Object.create(fetcher), { receive, close: () => fetcher.close() });
  };
  remotes[name] = () =>
    openFtp(
      {
        kind: "ftp",
        settings: { ...settings, tls: "off" },
        secret: async () => new Secret(PASSWORD),
      },
      { name, home: loop.folder, env: {}, openFetcher: spied },
    );
  const to = loop.at(`to-${name}`);
  await mkdir(to);
  const ended = await transfer(loop, { from: `${name}:${path}`, to: `${to}/`, ...(signal && { signal }) });
  const there = await readdir(to);
  return { ...ended, hosts, there, file: () => readFile(`${to}/big`) };
}

async function expectWhole({ receipt, file }: Omit<Fetched, "server">): Promise<void> {
  expect(receipt).toMatchObject({ state: "done", files: 1n, bytes: BigInt(SIZE), errors: [] });
  expect((await file()).equals(CONTENT)).toBe(true);
}

describe("a file of an FTP server in clear", () => {
  it("comes past JavaScript", async () => {
    const ended = await fetched(() => ({}));
    await expectWhole(ended);
    expect(ended.hosts.length).toBe(ended.server.offsets.length);
    await Promise.all(ended.server.ended);
  });

  it("comes in segments from a server that is far", async () => {
    // Longer than one transfer, which ends behind a quarter of it, can be.
    const content = Buffer.concat(Array.from({ length: 8 }, () => CONTENT));
    const ended = await fetched(() => ({}), { farMs: 50, content });
    expect(ended.receipt).toMatchObject({ state: "done", files: 1n, errors: [] });
    expect((await ended.file()).equals(content)).toBe(true);
    expect(ended.server.offsets.length).toBeGreaterThan(1);
    // None of them waits for more to be wanted of it.
    await Promise.all(ended.server.ended);
  });

  it("comes from the server alone, whatever address that names", async () => {
    const ended = await fetched(() => ({}), {
      replies: { EPSV: () => "500 no", PASV: (port) => `227 (127,0,0,2,${port >> 8},${port & 255})` },
    });
    await expectWhole(ended);
    expect(new Set(ended.hosts)).toEqual(new Set(["127.0.0.1"]));
  });

  it.each(["close", "reset"] as const)("is gone on with after a %s in the middle of a chunk", async (end) => {
    const cut = 3 * MIB + 1_000;
    const ended = await fetched((offset, times) =>
      times === 1 && offset === 0 ? { content: CONTENT.subarray(0, cut), end, reply: "426 broken" } : {},
    );
    await expectWhole(ended);
    // What had come whole is not asked for again.
    const again = ended.server.offsets.filter((offset) => offset > 0);
    expect(again.length).toBeGreaterThan(0);
    for (const offset of again) expect(offset % MIB).toBe(0);
  });

  it.each<[string, Trick]>([
    ["shorter", (offset) => ({ content: CONTENT.subarray(offset, SIZE - 10) })],
    ["longer", (offset) => ({ content: Buffer.concat([CONTENT.subarray(offset), Buffer.from("x")]) })],
  ])("is not there when it is %s by now", async (_, trick) => {
    const { receipt, there } = await fetched(trick);
    expect(receipt?.errors.map(({ code }) => code)).toEqual(["source_changed"]);
    expect(there).not.toContain("big");
  });

  it("is not there before the server has said that it is all of it", async () => {
    const refused = await fetched(() => ({ reply: "551 the disk is broken" }));
    expect(refused.receipt?.errors.map(({ message }) => message).join()).toContain("the disk is broken");
    expect(refused.there).not.toContain("big");
    // Said once, it is asked for again: the end of it alone.
    const healed = await fetched((_, times) => (times === 1 ? { reply: "451 the disk is slow" } : {}));
    await expectWhole(healed);
  });

  it("is let go of at once when the transfer is interrupted", async () => {
    const controller = new AbortController();
    const ended = await fetched(
      () => {
        setTimeout(() => controller.abort(), 200);
        return { content: CONTENT.subarray(0, 2 * MIB), end: "nothing" };
      },
      { signal: controller.signal },
    );
    expect(ended.there).not.toContain("big");
    await Promise.all(ended.server.ended);
  });
});

for (const [name, why, start] of [
  ["vsftpd", vsftpd.available(), vsftpd.startVsftpd],
  ["proftpd", proftpd.available(), proftpd.startProftpd],
] as const) {
  describe.skipIf(why !== undefined)(`${name}${why ? ` (SKIPPED: ${why})` : ""}`, () => {
    it("sends a file past JavaScript", async () => {
      const { host, port, stop } = await start({ tls: "none" });
      try {
        const path = loop.at(`at-${name}`);
        await mkdir(path);
        await writeFile(`${path}/big`, CONTENT);
        const ended = await receivedFrom({ host, port, user: USER, path }, "/big");
        await expectWhole(ended);
        expect(ended.hosts.length).toBeGreaterThan(0);
      } finally {
        await stop();
      }
    });
  });
}
