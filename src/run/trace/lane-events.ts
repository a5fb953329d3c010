import { EVENT, type Metrics, type TraceRecord, type VantagePoint } from "../../model/trace.ts";
import type { LaneSample, SessionTraceEvent } from "../../native/types.ts";
import type { Pace } from "./pace.ts";

const NS_PER_MS = 1_000_000;
const BITS = 8;

/** Makes events of what the lanes of one side of one session tell. */
export class LaneEvents {
  readonly #vantage: VantagePoint;
  readonly #pace: Pace;
  readonly #add: (record: TraceRecord) => void;
  /** By lane: the last that was written, and one that came since and was not. */
  readonly #written = new Map<number, LaneSample>();
  readonly #waiting = new Map<number, { readonly ms: number; readonly sample: LaneSample }>();

  constructor(options: {
    readonly vantage: VantagePoint;
    readonly pace: Pace;
    readonly add: (record: TraceRecord) => void;
  }) {
    this.#vantage = options.vantage;
    this.#pace = options.pace;
    this.#add = options.add;
  }

  /** @param ms since the trace began */
  take(ms: number, lane: number, what: SessionTraceEvent["what"]): void {
    if (what.kind === "sample") {
      this.sample(ms, what.sample);
      return;
    }
    this.#settle(lane);
    if (what.kind === "up") this.#event(ms, lane, { name: EVENT.laneUp, data: { protocol: what.transport } });
    else this.#event(ms, lane, { name: EVENT.laneDown, data: downData(what.reason) });
  }

  sample(ms: number, sample: LaneSample): void {
    this.#waiting.set(sample.lane, { ms, sample });
    if (this.#pace.takes(`${this.#vantage}/${sample.lane}`, ms)) this.#settle(sample.lane);
  }

  /** Writes the newest of each lane. */
  end(): void {
    for (const lane of [...this.#waiting.keys()]) this.#settle(lane);
  }

  #settle(lane: number): void {
    const waiting = this.#waiting.get(lane);
    if (!waiting) return;
    this.#waiting.delete(lane);
    const { ms, sample } = waiting;
    const before = this.#written.get(lane);
    this.#written.set(lane, sample);
    for (const news of newsOf(sample, before)) this.#event(ms, lane, news);
    this.#event(ms, lane, { name: EVENT.metrics, data: { ...metricsOf(sample) } });
  }

  #event(ms: number, lane: number, { name, data }: Pick<TraceRecord, "name" | "data">): void {
    this.#add({
      time: Math.round(ms * 1_000) / 1_000,
      name,
      group_id: `${this.#vantage}/${lane}`,
      ...(this.#vantage === "server" ? { vantage_point: this.#vantage } : {}),
      data: { lane, ...data },
    });
  }
}

function downData(reason: string): Record<string, unknown> {
  return reason === "" ? { trigger: "clean" } : { trigger: "error", reason };
}

type News = Pick<TraceRecord, "name" | "data">;

/** What changed, as events of their own. */
function newsOf(now: LaneSample, before: LaneSample | undefined): News[] {
  const news: News[] = [];
  const old = before?.phase ?? "";
  if (now.phase !== old) {
    news.push({ name: EVENT.phase, data: { ...(old === "" ? {} : { old }), new: now.phase } });
  }
  const mtu = before?.datagramSize ?? 0;
  if (now.datagramSize !== mtu) {
    news.push({ name: EVENT.mtu, data: { ...(mtu === 0 ? {} : { old: mtu }), new: now.datagramSize } });
  }
  const packets = now.packetsLost - (before?.packetsLost ?? 0);
  const spurious = now.packetsSpuriouslyLost - (before?.packetsSpuriouslyLost ?? 0);
  if (packets > 0 || spurious > 0) news.push({ name: EVENT.lost, data: { packets, spurious } });
  return news;
}

function metricsOf(sample: LaneSample): Metrics {
  return {
    lane: sample.lane,
    smoothed_rtt: sample.smoothedRttNs / NS_PER_MS,
    min_rtt: sample.minRttNs / NS_PER_MS,
    congestion_window: sample.congestionWindow,
    bytes_in_flight: sample.bytesInFlight,
    ...(sample.pacingRate > 0 ? { pacing_rate: sample.pacingRate * BITS } : {}),
    delivery_rate: sample.deliveryRate * BITS,
    limited_by: sample.limitedBy,
    limited: {
      application: sample.applicationNs / NS_PER_MS,
      cpu: sample.cpuNs / NS_PER_MS,
      congestion: sample.congestionNs / NS_PER_MS,
      receiver: sample.receiverNs / NS_PER_MS,
      pacing: sample.pacingNs / NS_PER_MS,
    },
    bytes_sent: sample.bytesSent,
    bytes_received: sample.bytesReceived,
    bytes_retransmitted: sample.bytesRetransmitted,
    packets_sent: sample.packetsSent,
    packets_received: sample.packetsReceived,
    packets_lost: sample.packetsLost,
    packets_spuriously_lost: sample.packetsSpuriouslyLost,
    packets_reordered: sample.packetsReordered,
    ecn_ce: sample.ecnCe,
    peer_socket_drops: sample.peerSocketDrops,
  };
}
