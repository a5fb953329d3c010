import { create } from "@bufbuild/protobuf";
import { type PathSample, PathSampleSchema } from "../gen/packetboat/v1/transfer_pb.ts";
import type { LaneSample } from "../native/types.ts";

/** Nanosecond and byte counters are whole numbers below 2^53; the engine's own are 64 bits. */
export function sampleToWire(sample: LaneSample): PathSample {
  return create(PathSampleSchema, {
    lane: sample.lane,
    minRttNs: whole(sample.minRttNs),
    smoothedRttNs: whole(sample.smoothedRttNs),
    deliveryRate: whole(sample.deliveryRate),
    pacingRate: whole(sample.pacingRate),
    bytesInFlight: whole(sample.bytesInFlight),
    congestionWindow: whole(sample.congestionWindow),
    packetsSent: whole(sample.packetsSent),
    packetsReceived: whole(sample.packetsReceived),
    packetsLost: whole(sample.packetsLost),
    packetsSpuriouslyLost: whole(sample.packetsSpuriouslyLost),
    packetsReordered: whole(sample.packetsReordered),
    bytesSent: whole(sample.bytesSent),
    bytesReceived: whole(sample.bytesReceived),
    bytesRetransmitted: whole(sample.bytesRetransmitted),
    bytesProbed: whole(sample.bytesProbed),
    pathRate: whole(sample.pathRate),
    warm: sample.warm,
    peerSocketDrops: whole(sample.peerSocketDrops),
    ecnCe: whole(sample.ecnCe),
    datagramSize: sample.datagramSize,
    limitedBy: sample.limitedBy,
    applicationNs: whole(sample.applicationNs),
    congestionNs: whole(sample.congestionNs),
    receiverNs: whole(sample.receiverNs),
    pacingNs: whole(sample.pacingNs),
    cpuNs: whole(sample.cpuNs),
    phase: sample.phase,
  });
}

function whole(value: number): bigint {
  return Number.isFinite(value) && value > 0
    ? BigInt(Math.min(Math.round(value), Number.MAX_SAFE_INTEGER))
    : 0n;
}

const LIMITS = ["application", "cpu", "congestion", "receiver", "pacing"] as const;

export function sampleFromWire(sample: PathSample): LaneSample {
  return {
    lane: sample.lane,
    minRttNs: Number(sample.minRttNs),
    smoothedRttNs: Number(sample.smoothedRttNs),
    deliveryRate: Number(sample.deliveryRate),
    pacingRate: Number(sample.pacingRate),
    bytesInFlight: Number(sample.bytesInFlight),
    congestionWindow: Number(sample.congestionWindow),
    packetsSent: Number(sample.packetsSent),
    packetsReceived: Number(sample.packetsReceived),
    packetsLost: Number(sample.packetsLost),
    packetsSpuriouslyLost: Number(sample.packetsSpuriouslyLost),
    packetsReordered: Number(sample.packetsReordered),
    bytesSent: Number(sample.bytesSent),
    bytesReceived: Number(sample.bytesReceived),
    bytesRetransmitted: Number(sample.bytesRetransmitted),
    bytesProbed: Number(sample.bytesProbed),
    pathRate: Number(sample.pathRate),
    warm: sample.warm,
    peerSocketDrops: Number(sample.peerSocketDrops),
    ecnCe: Number(sample.ecnCe),
    datagramSize: sample.datagramSize,
    limitedBy: LIMITS.find((limit) => limit === sample.limitedBy) ?? "application",
    applicationNs: Number(sample.applicationNs),
    congestionNs: Number(sample.congestionNs),
    receiverNs: Number(sample.receiverNs),
    pacingNs: Number(sample.pacingNs),
    cpuNs: Number(sample.cpuNs),
    phase: sample.phase,
  };
}
