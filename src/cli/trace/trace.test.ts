import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli } from "../testing/cli.ts";

let cwd: string;
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), "pb-trace-"));
});
afterAll(() => rmSync(cwd, { recursive: true }));

const record = (value: object) => `\u001e${JSON.stringify(value)}\n`;
const HEADER = record({
  qlog_version: "0.3",
  qlog_format: "JSON-SEQ",
  title: "pb transfer <a> box:/\u001b[31mb",
  trace: { vantage_point: { type: "client" } },
});

/** 10 s of a lane that sends 1 MiB/s, then nothing; a tenth of its packets lost; limited by the path for 8 s. */
function metrics(second: number, extra: object = {}) {
  const sending = Math.min(second, 8);
  const data = {
    lane: 0,
    smoothed_rtt: 100 + second,
    min_rtt: 100,
    congestion_window: 200_000,
    bytes_in_flight: second < 8 ? 150_000 : 0,
    delivery_rate: 8e6,
    limited: { application: (second - sending) * 1_000, congestion: sending * 1_000, receiver: 0, pacing: 0 },
    bytes_sent: sending * 1_048_576,
    bytes_received: 10,
    packets_sent: sending * 1_000,
    packets_lost: sending * 100,
    packets_spuriously_lost: 0,
    ...extra,
  };
  return record({ time: second * 1_000, name: "recovery:metrics_updated", data });
}

const TRACE = HEADER + Array.from({ length: 11 }, (_, second) => metrics(second)).join("");

function file(name: string, text: string): string {
  writeFileSync(join(cwd, name), text);
  return name;
}

const draw = (name: string, ...args: string[]) => cli(["trace", name, ...args], { cwd });

describe("pb trace", () => {
  it.each([80, 120])("draws within %i columns, without colours where it is piped", async (width) => {
    const { code, stdout } = await draw(file("good", TRACE), "--width", String(width));
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(Math.max(...lines.map((line) => [...line].length))).toBe(width);
    expect(stdout).not.toContain("\u001b");
    for (const name of ["rate", "round trip", "window", "loss"]) {
      expect(lines.filter((line) => line.startsWith(name))).toHaveLength(1);
    }
    expect(stdout).toContain("8.00 MiB in 10.0 s over 1 lane, 10 % lost (800 of 8,000 packets)");
    expect(stdout).toContain("limited by: the network 80 %, the source 20 %");
  });

  it("has colours where they are forced, and none with NO_COLOR", async () => {
    const name = file("good", TRACE);
    const forced = await cli(["trace", name], { cwd, env: { FORCE_COLOR: "1" } });
    expect(forced.stdout).toContain("\u001b[3");
    const plain = await cli(["trace", name], { cwd, env: { FORCE_COLOR: "1", NO_COLOR: "1" } });
    expect(plain.stdout).not.toContain("\u001b");
  });

  it("draws the rate where it was: high for four fifths, then nothing", async () => {
    const { stdout } = await draw(file("good", TRACE), "--width", "60");
    const lines = stdout.split("\n");
    const rows = lines.slice(lines.findIndex((line) => line.startsWith("rate")) + 1).slice(0, 4);
    const plots = rows.map((row) => row.slice(11));
    const filled = plots.map((plot) => [...plot].filter((cell) => cell !== "\u2800").length);
    expect(Math.max(...filled)).toBeGreaterThan(0.75 * 49);
    expect(plots.every((plot) => [...plot].slice(41).every((cell) => cell === "\u2800"))).toBe(true);
  });

  it("writes one SVG file", async () => {
    const { code } = await draw(file("good", TRACE), "--svg", "out.svg");
    expect(code).toBe(0);
    const svg = readFileSync(join(cwd, "out.svg"), "utf8");
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg"')).toBe(true);
    expect(svg.includes("pb transfer &lt;a&gt; box:/")).toBe(true);
    // XML has no place for control characters.
    expect(svg.includes("\u001b")).toBe(false);
    expect(/NaN|undefined|Infinity/.exec(svg)).toBeNull();
    expect(svg.match(/<polyline/g)).toHaveLength(4);
    expect(svg.trimEnd().endsWith("</svg>")).toBe(true);
  });

  it("gives programs the summary", async () => {
    const { stdout } = await draw(file("good", TRACE), "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      seconds: 10,
      lanes: 1,
      packetsLost: 800,
      limitedBy: { congestion: 0.8, application: 0.2 },
    });
  });

  it("takes the sending side for window and limits, and the near side for the rate", async () => {
    const near = [0, 5, 10].map((second) => metrics(second, { bytes_sent: 5, bytes_received: second * 1e6 }));
    const far = [0, 10].map((second) =>
      metrics(second, { limited: { receiver: 1 } }).replace('"name"', '"vantage_point":"server","name"'),
    );
    const { stdout } = await draw(file("down", HEADER + near.join("") + far.join("")));
    expect(stdout).toContain("limited by: the receiver 100 %");
    expect(stdout).toContain("mean 977 KiB/s");
  });

  it("draws another program's qlog as far as it goes", async () => {
    const foreign = [0, 1, 2].map((second) =>
      record({
        time: second * 1_000,
        name: "recovery:metrics_updated",
        data: { smoothed_rtt: 20, congestion_window: 65_536, bytes_in_flight: 30_000 },
      }),
    );
    const { code, stdout } = await draw(file("foreign", HEADER + foreign.join("")));
    expect(code).toBe(0);
    expect(stdout).toContain("round trip  largest 20.0 ms");
    expect(stdout).toContain("window (line)");
    expect(stdout).not.toMatch(/^(rate|loss)/m);
    expect(stdout).toContain("limited by: not known");
  });

  it("draws a transfer without lanes from what the job said", async () => {
    const updates = [1, 2, 3].map((second) =>
      record({
        time: second * 1_000,
        name: "packetboat:job_updated",
        data: { bytes: second * 1_048_576, limited_by: second < 3 ? "application" : "limit" },
      }),
    );
    const { stdout } = await draw(file("local", HEADER + updates.join("")));
    expect(stdout).toContain("mean 1.00 MiB/s");
    expect(stdout).toContain("limited by: the source 67 %, --limit 33 %");
    expect(stdout).not.toContain("round trip");
  });
});

describe("a file that is no trace", () => {
  const refusals: readonly [name: string, text: string, message: string][] = [
    ["text", "hello\n", "text is not a trace: it does not begin with a record separator"],
    ["empty", "", "empty is not a trace"],
    ["json", record({ a: 1 }), "json is not a trace: its first record is no qlog header"],
    ["cut", TRACE.slice(0, -5), "cut: record 12 is cut off"],
    ["cut-head", HEADER.slice(0, 20), "cut-head: record 1 is cut off"],
    [
      "damaged",
      TRACE.replace('"name":"recovery', '"name:"recovery'),
      "damaged: record 2 is not a JSON object",
    ],
    ["timeless", HEADER + record({ name: "a", data: {} }), "timeless: record 2 has no time, name and data"],
    ["bare", HEADER, "bare holds no measurements"],
  ];

  it.each(refusals)("%s is refused with its name and the record", async (name, text, message) => {
    const { code, stderr } = await draw(file(name, text));
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
  });

  it("is said to be missing", async () => {
    const { code, stderr } = await draw("nothing");
    expect(code).toBe(3);
    expect(stderr).toContain("nothing is not there");
  });
});
