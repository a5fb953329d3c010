import { createClient } from "@connectrpc/connect";
import { formatAddress } from "../../credential/address.ts";
import { AdminService } from "../../gen/packetboat/v1/admin_pb.ts";
import { fromPeerError } from "../../wire/connect.ts";
import { ok, type RemoteCheck } from "./check.ts";

const CALL_TIMEOUT_MS = 10_000;

/** The way to the remote over TCP: dialled, proven on both sides, answered. */
export const tls: RemoteCheck = {
  name: "tls",
  async run({ connection, signal }) {
    const started = performance.now();
    const address = await connection.endpoint();
    const dialled = performance.now();
    try {
      const client = createClient(AdminService, connection.transport);
      const info = await client.info({}, { signal, timeoutMs: CALL_TIMEOUT_MS });
      const ms = (from: number, to: number) => `${Math.round((to - from) * 10) / 10} ms`;
      const times = `connected in ${ms(started, dialled)}, answered in ${ms(dialled, performance.now())}`;
      const rights = info.readOnly ? "read-only" : "read and write";
      return ok(`pb ${info.version} at ${formatAddress(address)}, ${rights}; ${times}`);
    } catch (error) {
      throw fromPeerError(error, { peer: connection.peer, signal });
    }
  },
};
