import type { LaneSample } from "../native/types.ts";

export interface PathSummary {
  /** Mean of the lanes, weighted by what each sent. */
  readonly smoothedRttNs: number;
  readonly minRttNs: number;
  /** Packets lost for good of all that were sent, 0 to 1. */
  readonly lossRate: number;
  readonly bytesSent: number;
  readonly bytesRetransmitted: number;
}

/** All lanes of one direction as one path. Lanes without a round trip yet do not count for times. */
export function summarizeLanes(lanes: readonly LaneSample[]): PathSummary {
  const timed = lanes.filter((lane) => lane.smoothedRttNs > 0);
  const weight = (lane: LaneSample) => Math.max(1, lane.packetsSent);
  const weights = total(timed, weight);
  const sent = total(lanes, (lane) => lane.packetsSent);
  const lost = total(lanes, (lane) => Math.max(0, lane.packetsLost - lane.packetsSpuriouslyLost));
  const minima = lanes.map((lane) => lane.minRttNs).filter((ns) => ns > 0);
  return {
    smoothedRttNs: weights === 0 ? 0 : total(timed, (lane) => lane.smoothedRttNs * weight(lane)) / weights,
    minRttNs: minima.length === 0 ? 0 : Math.min(...minima),
    lossRate: sent === 0 ? 0 : Math.min(1, lost / sent),
    bytesSent: total(lanes, (lane) => lane.bytesSent),
    bytesRetransmitted: total(lanes, (lane) => lane.bytesRetransmitted),
  };
}

function total(lanes: readonly LaneSample[], value: (lane: LaneSample) => number): number {
  return lanes.reduce((sum, lane) => sum + value(lane), 0);
}
