import type { LaneSample } from "../types.ts";

/** What a lane that has done nothing says of itself, but for `values`. */
export function laneSample(values: Partial<LaneSample> = {}): LaneSample {
  return {
    lane: 0,
    minRttNs: 0,
    smoothedRttNs: 0,
    deliveryRate: 0,
    pacingRate: 0,
    bytesInFlight: 0,
    congestionWindow: 0,
    packetsSent: 0,
    packetsReceived: 0,
    packetsLost: 0,
    packetsSpuriouslyLost: 0,
    packetsReordered: 0,
    bytesSent: 0,
    bytesReceived: 0,
    bytesRetransmitted: 0,
    bytesProbed: 0,
    pathRate: 0,
    warm: false,
    peerSocketDrops: 0,
    ecnCe: 0,
    datagramSize: 1408,
    limitedBy: "application",
    applicationNs: 0,
    cpuNs: 0,
    congestionNs: 0,
    receiverNs: 0,
    pacingNs: 0,
    phase: "",
    ...values,
  };
}
