/**
 * What a trace file holds (docs/TRACE.md): qlog 0.3 as JSON text sequences (draft-ietf-quic-qlog-main-schema, RFC 7464). Written by
 * run/, read by `pb trace`.
 */

export const QLOG_VERSION = "0.3";
export const QLOG_FORMAT = "JSON-SEQ";
/** Before each record (RFC 7464 section 2.2); a line feed ends it. */
export const RECORD_SEPARATOR = "\u001e";

/** Names of events: those of draft-ietf-quic-qlog-quic-events where they fit, else our own. */
export const EVENT = {
  laneUp: "connectivity:connection_started",
  laneDown: "connectivity:connection_closed",
  mtu: "connectivity:mtu_updated",
  metrics: "recovery:metrics_updated",
  lost: "recovery:packet_lost",
  phase: "recovery:congestion_state_updated",
  jobStarted: "packetboat:job_started",
  jobUpdated: "packetboat:job_updated",
  jobEnded: "packetboat:job_ended",
  notice: "packetboat:notice",
  error: "packetboat:error",
  dropped: "packetboat:events_dropped",
  full: "packetboat:trace_full",
} as const;

export type VantagePoint = "client" | "server";

/** Milliseconds that a lane was held up since it began, by cause. */
export interface LimitedMs {
  readonly application: number;
  readonly cpu: number;
  readonly congestion: number;
  readonly receiver: number;
  readonly pacing: number;
}

/** Of `recovery:metrics_updated`. Times in ms, sizes in bytes, rates in bits a second; counters since the lane began. */
export interface Metrics {
  readonly lane: number;
  readonly smoothed_rtt: number;
  readonly min_rtt: number;
  readonly congestion_window: number;
  readonly bytes_in_flight: number;
  /** Left out where nothing is paced. */
  readonly pacing_rate?: number;
  readonly delivery_rate: number;
  readonly limited_by: string;
  readonly limited: LimitedMs;
  readonly bytes_sent: number;
  readonly bytes_received: number;
  readonly bytes_retransmitted: number;
  readonly packets_sent: number;
  readonly packets_received: number;
  readonly packets_lost: number;
  readonly packets_spuriously_lost: number;
  readonly packets_reordered: number;
  readonly ecn_ce: number;
  readonly peer_socket_drops: number;
}

/** One event. */
export interface TraceRecord {
  /** Milliseconds since the trace's `reference_time`. */
  readonly time: number;
  readonly name: string;
  /** `client/0`: the lane and the side that saw it. */
  readonly group_id?: string;
  /** Where it is not the trace's own. */
  readonly vantage_point?: VantagePoint;
  readonly data: Readonly<Record<string, unknown>>;
}
