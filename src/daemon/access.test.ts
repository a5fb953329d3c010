import { once } from "node:events";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { create, type DescMethodStreaming, type DescMethodUnary, type DescService } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  enrolClient,
  inviteOf,
  moreInvite,
  noPeer,
  removeFolders,
  startServer,
  type TestServer,
} from "../../test/support/server.ts";
import { createPbBackend } from "../backend/pb/backend.ts";
import { connectPb, type PbConnection } from "../backend/pb/connection.ts";
import { parseAddress } from "../credential/address.ts";
import { clientIdOf, clientUri, parseCertificate, serverUri } from "../credential/certificate.ts";
import { openRemotes, type RemoteKeys } from "../credential/remotes.ts";
import { openServerState } from "../credential/server-state.ts";
import {
  CLIENT_AUTH,
  createAuthority,
  createRequest,
  type IssueOptions,
  issue,
  SERVER_AUTH,
} from "../credential/x509.ts";
import { AdminService, file_packetboat_v1_admin } from "../gen/packetboat/v1/admin_pb.ts";
import { FileService, file_packetboat_v1_file } from "../gen/packetboat/v1/file_pb.ts";
import { file_packetboat_v1_job } from "../gen/packetboat/v1/job_pb.ts";
import { file_packetboat_v1_session } from "../gen/packetboat/v1/session_pb.ts";
import { file_packetboat_v1_transfer } from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { fromConnectError } from "../wire/connect.ts";
import { connectRemote } from "./open-remote.ts";

let server: TestServer;
const connections: PbConnection[] = [];
beforeEach(async () => {
  server = await startServer();
});
afterEach(async () => {
  for (const connection of connections.splice(0)) await connection.close();
  await server.stop();
});
afterAll(removeFolders);

const signal = new AbortController().signal;
const error = (code: string) => expect.objectContaining({ code });

async function trust() {
  const { ca, fingerprint } = await openServerState(server.state);
  return { peer: "box", ca: ca.certificate, fingerprint };
}

/** A connection with whatever certificate (or none), to the right server. */
async function connection(client?: { key: string; certificate: string }): Promise<PbConnection> {
  const made = connectPb({
    addresses: [parseAddress(server.address)],
    trust: await trust(),
    ...(client && { client }),
  });
  connections.push(made);
  return made;
}

async function certificate(options: Partial<IssueOptions>): Promise<{ key: string; certificate: string }> {
  const { ca } = await openServerState(server.state);
  const { csr, key } = await createRequest();
  const defaults = {
    ca,
    csr,
    commonName: "x",
    uri: clientUri("a".repeat(16)),
    usage: CLIENT_AUTH,
    days: 1,
  } as const;
  return { key, certificate: await issue({ ...defaults, ...options }) };
}

async function files(invite: string) {
  const home = await enrolClient(invite);
  const store = openRemotes(home);
  const remote = await store.get("box");
  const made = await connectRemote(store, "box");
  connections.push(made);
  return { backend: createPbBackend({ connection: made, peer: noPeer, writable: true }), remote };
}

/** Every method that a server offers, by the generated descriptors: a new one is held to the gate without being named here. */
const METHODS = [
  file_packetboat_v1_admin,
  file_packetboat_v1_file,
  file_packetboat_v1_job,
  file_packetboat_v1_session,
  file_packetboat_v1_transfer,
]
  .flatMap((file) => file.services)
  .flatMap((service: DescService) => service.methods);

async function callAll(transport: Transport): Promise<Record<string, string>> {
  const codes: Record<string, string> = {};
  for (const method of METHODS) {
    const name = `${method.parent.name}.${method.name}`;
    try {
      if (method.methodKind === "unary") {
        await transport.unary(method as DescMethodUnary, signal, 5000, undefined, create(method.input));
      } else {
        const input = (async function* () {
          yield create(method.input);
        })();
        const { message } = await transport.stream(
          method as DescMethodStreaming,
          signal,
          5000,
          undefined,
          input,
        );
        for await (const _ of message);
      }
      codes[name] = "ok";
    } catch (caught) {
      codes[name] = fromConnectError(caught).code;
    }
  }
  return codes;
}

/** The gate's answer to all methods; enrolment has its own: an empty token is none that was given. */
function all(code: string): Record<string, string> {
  const expected = Object.fromEntries(METHODS.map(({ parent, name }) => [`${parent.name}.${name}`, code]));
  return { ...expected, "AdminService.Enrol": "token_invalid" };
}

describe("the gate", () => {
  it("lets nobody without a certificate call anything", async () => {
    expect(METHODS.length).toBeGreaterThan(12);
    const codes = await callAll((await connection()).transport);
    expect(codes).toEqual(all("unauthenticated"));
  });

  it("takes no certificate of another authority, for another use, of nobody, or whose time is over", async () => {
    const other = await createAuthority();
    const past = new Date(Date.now() - 10 * 86_400_000);
    const cases: [string, Partial<IssueOptions>][] = [
      ["unauthenticated", { ca: other }],
      ["unauthenticated", { usage: SERVER_AUTH }],
      ["unauthenticated", { uri: serverUri(server.ready.fingerprint) }],
      ["unauthenticated", {}],
      ["certificate_expired", { now: past }],
    ];
    for (const [code, options] of cases) {
      const client = createClient(FileService, (await connection(await certificate(options))).transport);
      const failed = await client.stat({ location: {} }).catch((caught) => fromConnectError(caught));
      expect(failed).toEqual(error(code));
    }
  });

  it("refuses a client's certificate in the place of a server's", async () => {
    const { ca } = await openServerState(server.state);
    const stolen = await certificate({ uri: serverUri(server.ready.fingerprint) });
    const impostor = (await import("node:tls")).createServer({
      key: stolen.key,
      cert: stolen.certificate + ca.certificate,
      ALPNProtocols: ["h2"],
    });
    impostor.on("tlsClientError", () => {});
    impostor.listen(0, "127.0.0.1");
    await once(impostor, "listening");
    const { port } = impostor.address() as { port: number };
    try {
      const made = connectPb({ addresses: [{ host: "127.0.0.1", port }], trust: await trust() });
      connections.push(made);
      await expect(made.endpoint()).rejects.toThrow(error("fingerprint_mismatch"));
    } finally {
      impostor.close();
    }
  });

  it("shuts a revoked client out at the next call", async () => {
    const { backend, remote } = await files(await inviteOf(server));
    await backend.stat("", { follow: false, signal });
    await server.actions.revoke(remote.clientId, server.state);
    await expect(backend.stat("", { follow: false, signal })).rejects.toThrow(error("revoked"));
  });

  it("ends what a revoked client has open within a second", async () => {
    const home = await enrolClient(await inviteOf(server));
    const store = openRemotes(home);
    const remote = await store.get("box");
    const keys: RemoteKeys = await store.keys(remote);
    const socket = connectTls({
      port: server.ready.port,
      host: "127.0.0.1",
      ca: keys.ca,
      key: keys.key,
      cert: keys.certificate,
      ALPNProtocols: ["h2"],
      checkServerIdentity: () => undefined,
    });
    const session = connectHttp2("https://packetboat", { createConnection: () => socket });
    session.on("error", () => {});
    await once(session, "connect");
    const closed = once(session, "close");
    const started = performance.now();
    await server.actions.revoke(remote.clientId, server.state);
    await closed;
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it("renews a certificate for the caller's own identity only", async () => {
    const home = await enrolClient(await inviteOf(server));
    const store = openRemotes(home);
    const remote = await store.get("box");
    const old = await store.keys(remote);
    const { ca } = await openServerState(server.state);
    const { csr, key } = await createRequest();
    const soon = await issue({
      ca,
      csr,
      commonName: "x",
      uri: clientUri(remote.clientId),
      usage: CLIENT_AUTH,
      days: 10,
    });
    await store.replaceKeys(remote, { key, certificate: soon, ca: old.ca });
    // Where nothing can be written the present one serves on.
    const full = () => Promise.reject(new PbError("read_only", "nothing can be written here"));
    const present = await connectRemote({ ...store, replaceKeys: full }, "box");
    connections.push(present);
    await createClient(AdminService, present.transport).info({});
    expect((await store.keys(remote)).certificate.trim()).toBe(soon.trim());
    connections.push(await connectRemote(store, "box"));
    const renewed = parseCertificate((await store.keys(remote)).certificate);
    expect(clientIdOf(renewed)).toBe(remote.clientId);
    expect(Date.parse(renewed.validTo) - Date.now()).toBeGreaterThan(300 * 86_400_000);
  });
});

describe("what is shown without a certificate", () => {
  it("is /healthz, over HTTP/2 and HTTP/1.1, and nothing else", async () => {
    const get = (path: string) =>
      new Promise<[number | undefined, string]>((resolve, reject) => {
        const options = { host: "127.0.0.1", port: server.ready.port, path, rejectUnauthorized: false };
        request(options, (response) => {
          let body = "";
          response.on("data", (chunk) => {
            body += chunk;
          });
          response.on("end", () => resolve([response.statusCode, body]));
        })
          .on("error", reject)
          .end();
      });
    expect(await get("/healthz")).toEqual([200, "ok\n"]);
    expect((await get("/"))[0]).toBe(404);
    expect((await get("/healthz/../secret"))[0]).toBe(404);
  });

  it("is no TLS before 1.3", async () => {
    const socket = connectTls({
      host: "127.0.0.1",
      port: server.ready.port,
      rejectUnauthorized: false,
      maxVersion: "TLSv1.2",
    });
    await expect(once(socket, "secureConnect")).rejects.toThrow(
      expect.objectContaining({ code: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION" }),
    );
  });

  it("is no large request", async () => {
    const transport = createGrpcTransport({
      baseUrl: `https://${server.address}`,
      nodeOptions: { rejectUnauthorized: false },
      httpVersion: "2",
    } as Parameters<typeof createGrpcTransport>[0]);
    const failed = await createClient(FileService, transport)
      .stat({ location: { path: new Uint8Array(100_000) } })
      .catch((caught) => fromConnectError(caught));
    expect(failed).toBeInstanceOf(PbError);
    expect((failed as PbError).code).not.toBe("not_found");
  });

  it("survives bytes that are no TLS", async () => {
    const socket = connectTcp(server.ready.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\n\r\n");
    socket.resume();
    await once(socket, "close");
    await enrolClient(await inviteOf(server));
  });
});

describe("confinement", () => {
  it("lets a read-only client read and change nothing", async () => {
    await writeFile(join(server.root, "f"), "x");
    const { backend } = await files(await moreInvite(server, { readOnly: true }));
    expect((await backend.stat("f", { follow: false, signal })).size).toBe(1);
    const changes = [
      () => backend.mkdir("d", { parents: true, signal }),
      () => backend.touch("f", { create: true, signal }),
      () => backend.touch("g", { create: true, signal }),
      () => backend.rename("f", "g", { replace: true, signal }),
      () => backend.remove("f", { recursive: true, signal }),
    ];
    for (const change of changes) await expect(change()).rejects.toThrow(error("read_only"));
    expect(await readdir(server.root)).toEqual(["f"]);
    expect(await readFile(join(server.root, "f"), "utf8")).toBe("x");
  });

  it("shows a confined client its folder as everything", async () => {
    await mkdir(join(server.root, "mine/deep"), { recursive: true });
    await writeFile(join(server.root, "theirs"), "x");
    await symlink("../theirs", join(server.root, "mine/link"));
    const { backend } = await files(await moreInvite(server, { path: "/mine" }));
    await backend.touch("/new", { create: true, signal });
    expect((await readdir(join(server.root, "mine"))).sort()).toEqual(["deep", "link", "new"]);
    await expect(backend.stat("/theirs", { follow: true, signal })).rejects.toThrow(error("not_found"));
    await expect(backend.stat("/link", { follow: true, signal })).rejects.toThrow(error("path_escapes"));
    await expect(backend.remove("/", { recursive: true, signal })).rejects.toThrow(PbError);
    expect(await readdir(join(server.root, "mine"))).toContain("deep");
  });

  it.each([
    ["../x", "path_escapes"],
    ["/a/../../x", "path_escapes"],
    ["a\0b", "invalid_path"],
    ["%2e%2e/x", "not_found"],
  ])("answers %j with %s", async (path, code) => {
    const { backend } = await files(await inviteOf(server));
    await expect(backend.stat(path, { follow: true, signal })).rejects.toThrow(error(code));
    const made = backend.mkdir(path, { parents: false, signal });
    await expect(made).rejects.toThrow(error(code));
    await expect(backend.remove(path, { recursive: true, signal })).rejects.toThrow(error(code));
  });
});
