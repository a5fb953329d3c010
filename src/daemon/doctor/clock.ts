import { createClient } from "@connectrpc/connect";
import { AdminService } from "../../gen/packetboat/v1/admin_pb.ts";
import { fromPeerError } from "../../wire/connect.ts";
import { fail, ok, type RemoteCheck, warn } from "./check.ts";

/** Beyond this, "newer" between two machines means little. */
const NOTICEABLE_MS = 2_000;
/** Certificates start an hour in the past: beyond it new ones are refused. */
const HARMFUL_MS = 3_600_000;
const CALL_TIMEOUT_MS = 10_000;

/** This machine's clock against the server's, taken at the middle of the call. */
export const clock: RemoteCheck = {
  name: "clock",
  async run({ connection, signal }) {
    const client = createClient(AdminService, connection.transport);
    const before = Date.now();
    let theirs: number;
    try {
      const info = await client.info({}, { signal, timeoutMs: CALL_TIMEOUT_MS });
      theirs = Number(info.timeNs / 1_000_000n);
    } catch (error) {
      throw fromPeerError(error, { peer: connection.peer, signal });
    }
    const roundTrip = Date.now() - before;
    const ahead = Math.round(before + roundTrip / 2 - theirs);
    const detail = `${Math.abs(ahead)} ms ${ahead < 0 ? "behind" : "ahead of"} the server (± ${Math.ceil(roundTrip / 2)} ms)`;
    const fix = "set the clocks of both machines by NTP (timedatectl set-ntp true)";
    if (Math.abs(ahead) - roundTrip > HARMFUL_MS) return fail(detail, fix);
    if (Math.abs(ahead) - roundTrip > NOTICEABLE_MS) return warn(detail, fix);
    return ok(detail);
  },
};
