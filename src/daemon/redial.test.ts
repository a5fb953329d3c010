import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createClient } from "@connectrpc/connect";
import { afterAll, afterEach, beforeEach, expect, it } from "vitest";
import {
  enrolClient,
  inviteOf,
  removeFolders,
  startServer,
  type TestServer,
} from "../../test/support/server.ts";
import { connectPb, type PbConnection } from "../backend/pb/connection.ts";
import { parseAddress } from "../credential/address.ts";
import { openRemotes } from "../credential/remotes.ts";
import { FileService } from "../gen/packetboat/v1/file_pb.ts";

/** Between client and server, so that a connection can be lost at a moment of the test's choice. */
interface Relay {
  readonly server: Server;
  /** The clients' ends, of all that were ever made. */
  readonly taken: Socket[];
}

let server: TestServer;
let relay: Relay;
let connection: PbConnection;

async function startRelay(target: string): Promise<Relay> {
  const taken: Socket[] = [];
  const listener = createServer((client) => {
    taken.push(client);
    const far = connect(parseAddress(target));
    for (const socket of [client, far]) socket.on("error", () => undefined);
    client.pipe(far).pipe(client);
    client.on("close", () => far.destroy());
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return { server: listener, taken };
}

beforeEach(async () => {
  server = await startServer();
  relay = await startRelay(server.address);
  const store = openRemotes(await enrolClient(await inviteOf(server)));
  const remote = await store.get("box");
  const keys = await store.keys(remote);
  const { port } = relay.server.address() as AddressInfo;
  connection = connectPb({
    addresses: [{ host: "127.0.0.1", port }],
    trust: { peer: "box", fingerprint: remote.fingerprint, ca: keys.ca },
    client: keys,
  });
});
afterEach(async () => {
  await connection.close();
  relay.server.close();
  for (const socket of relay.taken) socket.destroy();
  await server.stop();
});
afterAll(removeFolders);

/** The handshake is done, no call was made, and the server goes away; resolves when the client's end has closed, too. */
async function loseBeforeFirstCall(): Promise<void> {
  await connection.endpoint();
  const [first] = relay.taken;
  if (first === undefined) throw new Error("nothing came through the relay");
  first.end();
  await once(first, "close");
}

const stat = () =>
  createClient(FileService, connection.transport).stat({ location: { path: Buffer.from("/") } });

it("a connection that was lost between its handshake and its first call is made again for it", async () => {
  await loseBeforeFirstCall();
  await stat();
  expect(relay.taken).toHaveLength(2);
});

it("and where nobody answers any more, the call says so at once, and not after two pings of 15 s", async () => {
  await loseBeforeFirstCall();
  relay.server.close();
  await expect(stat()).rejects.toMatchObject({ cause: { code: "unreachable" } });
});
