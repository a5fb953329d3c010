import { describe, expect, it } from "vitest";
import type { TraceRecord } from "../../model/trace.ts";
import { laneSample } from "../../native/testing/lane-sample.ts";
import type { LaneSample } from "../../native/types.ts";
import { LaneEvents } from "./lane-events.ts";
import { Pace } from "./pace.ts";

const sample = (change: Partial<LaneSample>) =>
  laneSample({
    minRttNs: 1e6,
    smoothedRttNs: 2e6,
    deliveryRate: 1_000,
    limitedBy: "congestion",
    congestionNs: 5e6,
    phase: "startup",
    ...change,
  });

function events(vantage: "client" | "server" = "client") {
  const records: TraceRecord[] = [];
  const lanes = new LaneEvents({ vantage, pace: new Pace(), add: (record) => records.push(record) });
  return { lanes, records };
}

const names = (records: readonly TraceRecord[]) => records.map(({ name }) => name.replace(/.*:/, ""));

describe("the events of a lane", () => {
  it("are its begin, what changed, its metrics and its end", () => {
    const { lanes, records } = events();
    lanes.take(1, 0, { kind: "up", transport: "udp" });
    lanes.take(20, 0, { kind: "sample", sample: sample({}) });
    lanes.take(40, 0, {
      kind: "sample",
      sample: sample({ packetsLost: 3, phase: "drain", datagramSize: 8_972 }),
    });
    lanes.take(60, 0, {
      kind: "sample",
      sample: sample({ packetsLost: 3, phase: "drain", datagramSize: 8_972 }),
    });
    lanes.take(61, 0, { kind: "down", reason: "gone" });
    expect(names(records)).toEqual([
      "connection_started",
      ...["congestion_state_updated", "mtu_updated", "metrics_updated"],
      ...["congestion_state_updated", "mtu_updated", "packet_lost", "metrics_updated"],
      "metrics_updated",
      "connection_closed",
    ]);
    expect(records[4]?.data).toEqual({ lane: 0, old: "startup", new: "drain" });
    expect(records[6]?.data).toEqual({ lane: 0, packets: 3, spurious: 0 });
    expect(records.at(-1)?.data).toEqual({ lane: 0, trigger: "error", reason: "gone" });
  });

  it("give times in ms, rates in bits a second, and no pacing rate where nothing is paced", () => {
    const { lanes, records } = events();
    lanes.sample(5, sample({}));
    const { data, group_id } = records.at(-1) as TraceRecord;
    expect(group_id).toBe("client/0");
    expect(data).toMatchObject({
      smoothed_rtt: 2,
      min_rtt: 1,
      delivery_rate: 8_000,
      limited: { congestion: 5 },
    });
    expect(data).not.toHaveProperty("pacing_rate");
    lanes.sample(500, sample({ pacingRate: 4 }));
    expect(records.at(-1)?.data).toMatchObject({ pacing_rate: 32 });
  });

  it("are marked where the server saw them", () => {
    const { lanes, records } = events("server");
    lanes.sample(5, sample({ lane: 3 }));
    expect(records.at(-1)).toMatchObject({ vantage_point: "server", group_id: "server/3" });
  });

  it("leave out samples that come too fast, but not their losses, nor the last", () => {
    const { lanes, records } = events();
    for (let ms = 0; ms < 100; ms += 1) lanes.sample(ms, sample({ packetsLost: ms + 1 }));
    const metrics = () => records.filter(({ name }) => name.endsWith("metrics_updated"));
    expect(metrics().length).toBeLessThanOrEqual(12);
    lanes.end();
    const lost = records.filter(({ name }) => name.endsWith("packet_lost"));
    expect(lost.reduce((all, { data }) => all + Number(data.packets), 0)).toBe(100);
    const count = metrics().length;
    lanes.end();
    expect(metrics().length).toBe(count);
  });
});

describe("the pace", () => {
  it("keeps a day's trace to some ten thousand points", () => {
    const pace = new Pace();
    let points = 0;
    const dayMs = 86_400_000;
    for (let ms = 0; ms < dayMs; ms += Math.max(5, ms / 5_000)) points += pace.takes("lane", ms) ? 1 : 0;
    expect(points).toBeLessThan(12_000);
    expect(points).toBeGreaterThan(5_000);
  });

  it("is each series' own", () => {
    const pace = new Pace();
    expect([pace.takes("a", 0), pace.takes("b", 0), pace.takes("a", 1), pace.takes("a", 10)]).toEqual([
      ...[true, true, false, true],
    ]);
  });
});
