import type { SessionPeer } from "../../backend/backend.ts";
import { PbError } from "../../model/error.ts";
import { MIN_MEMORY_BYTES } from "../../model/transfer.ts";
import { ok, type RemoteCheck, warn } from "./check.ts";

/** Opens a data session of one lane over UDP alone: is the port open both ways, and how fast does it answer? */
export function udp(peerOf: (context: Parameters<RemoteCheck["run"]>[0]) => SessionPeer): RemoteCheck {
  return {
    name: "udp",
    async run(context) {
      const started = performance.now();
      try {
        await using session = await peerOf(context).openSession({
          transport: "udp",
          seal: true,
          lanes: 1,
          memoryBytes: MIN_MEMORY_BYTES,
          limitBytesPerSecond: 0,
          controller: "",
          chunkBytes: 0,
          signal: context.signal,
        });
        const [lane] = (await session.connected).samples();
        const rtt = lane && lane.minRttNs > 0 ? `, round trip ${(lane.minRttNs / 1e6).toFixed(2)} ms` : "";
        return ok(`a session opened in ${Math.round(performance.now() - started)} ms${rtt}`);
      } catch (error) {
        const { code, message } = PbError.from(error);
        if (code !== "unreachable" && code !== "timeout") throw error;
        const fix = "let UDP through to the server's port in firewalls on the way; until then TCP is used";
        return warn(message, fix);
      }
    },
  };
}
