import { create } from "@bufbuild/protobuf";
import { createColors } from "picocolors";
import { describe, expect, test } from "vitest";
import {
  type Progress,
  ProgressSchema,
  type Receipt,
  ReceiptSchema,
} from "../../gen/packetboat/v1/transfer_pb.ts";
import { sink } from "../testing/cli.ts";
import { frameLines } from "./frame.ts";
import { LiveBlock } from "./live.ts";
import { plainLine } from "./plain.ts";
import { summaryLines } from "./summary.ts";
import { formatTable, shortenMiddle, widthOf, wrapParts } from "./text.ts";
import {
  formatBytes,
  formatBytesOf,
  formatClock,
  formatRatio,
  formatRtt,
  formatSeconds,
  percentOf,
} from "./units.ts";

const GIB = 1024 ** 3;
const colors = createColors(false);
const heading = { source: "/home/ada/photos", destination: "box:/backup/photos", sealed: true };

function running(more: Partial<Progress> = {}): Progress {
  const lane = {
    deliveryRate: BigInt(GIB / 8),
    congestionWindow: 1_572_864n,
    bytesInFlight: 1_310_720n,
  };
  return create(ProgressSchema, {
    bytes: BigInt(Math.floor(12.4 * GIB)),
    totalBytes: BigInt(Math.floor(48.1 * GIB)),
    files: 1204n,
    totalFiles: 18_332n,
    listingDone: true,
    bytesPerSecond: BigInt(Math.floor(1.12 * GIB)),
    seconds: 11,
    transport: "udp",
    limitedBy: "congestion",
    rttNs: 21_300_000n,
    minRttNs: 20_100_000n,
    lossRate: 0.0002,
    lanes: Array.from({ length: 8 }, (_, at) => ({ ...lane, lane: at })),
    ...more,
  } as Parameters<typeof create<typeof ProgressSchema>>[1]);
}

const frame = (columns: number, more: Partial<Progress> = {}, head = heading) =>
  frameLines({ heading: head, progress: running(more), elapsedSeconds: 11.2, columns, colors });

describe("between two attempts", () => {
  const waiting = { waitingFor: "box\u001b", retry: 3, retryInMs: 3_400n };

  test("the live block says who is waited for, and nothing of a network", () => {
    const lines = frame(80, waiting);
    expect(lines.at(-1)).toBe("waiting for box\\x1b: retry 3 in 4 s");
    expect(lines.join("\n")).not.toContain("network");
    expect(frame(80, { ...waiting, retryInMs: 0n }).at(-1)).toContain("retry 3 now");
  });

  test("so does a line of a log", () => {
    expect(plainLine(heading, running(waiting))).toMatch(/errors; waiting for box\\x1b: retry 3 in 4 s$/);
  });
});

test("the summary of a transfer that went on", () => {
  const receipt = create(ReceiptSchema, {
    state: "done",
    resumedBytes: BigInt(GIB),
    resumedFiles: 3n,
    redoneFiles: 3n,
    redone: [
      { path: Buffer.from("a"), reason: "source_changed" },
      { path: Buffer.from("b\x1b"), reason: "part_lost" },
    ],
    attempts: 2,
  });
  expect(summaryLines(receipt, { columns: 120, colors })).toContain(
    "resumed   1.00 GiB not sent again, of 3 files   3 files begun anew: 1 source changed, 1 part lost   2 attempts",
  );
});

describe("the live block", () => {
  test("at 80 columns", () => {
    expect(frame(80)).toEqual([
      "/home/ada/photos → box:/backup/photos",
      `${"━".repeat(17)}${"─".repeat(51)}  25%   0:11`,
      "12.4 of 48.1 GiB   1.12 GiB/s   ETA 0:32   1,204 of 18,332 files",
      "network  udp sealed, 8 lanes   RTT 21.3 ms (min 20.1 ms)   loss 0.02%",
      "         path 1.00 GiB/s   in flight 10.0 of 12.0 MiB   limited by the network",
    ]);
  });

  test("at 120 columns", () => {
    expect(frame(120)).toEqual([
      "/home/ada/photos → box:/backup/photos",
      `${"━".repeat(27)}${"─".repeat(81)}  25%   0:11`,
      "12.4 of 48.1 GiB   1.12 GiB/s   ETA 0:32   1,204 of 18,332 files",
      "network  udp sealed, 8 lanes   RTT 21.3 ms (min 20.1 ms)   loss 0.02%",
      "         path 1.00 GiB/s   in flight 10.0 of 12.0 MiB   limited by the network",
    ]);
  });

  test.each([40, 60, 80, 100, 120, 200])("never wider than %d columns, whatever the names", (columns) => {
    const long = {
      ...heading,
      source: `/${"長い名前/".repeat(40)}end`,
      destination: `box:/${"x".repeat(300)}`,
    };
    for (const more of [
      {},
      { errors: 12n, skippedFiles: 99_999n, listingDone: false },
      { transport: "memory" },
    ]) {
      for (const line of frame(columns, more, long)) expect(widthOf(line)).toBeLessThanOrEqual(columns);
    }
  });

  test("says what is not known, skipped, wrong, not sealed", () => {
    const text = frame(
      120,
      { listingDone: false, skippedFiles: 5n, errors: 1n },
      { ...heading, sealed: false },
    ).join("\n");
    expect(text).toContain("12.4 of 48.1 GiB+");
    expect(text).toContain("ETA --:--");
    expect(text).toContain("1,204 of 18,332+ files   5 skipped   1 error");
    expect(text).toContain("udp not sealed");
  });

  test("an empty tree ends at 100%, an unfinished one never shows it", () => {
    expect(frame(80, { bytes: 0n, totalBytes: 0n, files: 0n, totalFiles: 0n })[1]).toMatch(/━ 100% {3}0:11$/);
    expect(frame(80, { bytes: 999_999n, totalBytes: 1_000_000n })[1]).toMatch(/ {2}99% {3}0:11$/);
  });

  test("before the first news", () => {
    expect(frameLines({ heading, progress: undefined, elapsedSeconds: 3, columns: 80, colors })[1]).toBe(
      "connecting   0:03",
    );
  });

  test("is written over, and leaves nothing but what stays", () => {
    const screen = Object.assign(sink(), { isTTY: true, columns: 10 });
    const block = new LiveBlock(screen);
    block.draw(["one", "two"]);
    block.above("note");
    block.draw(["one", "two"]);
    block.close();
    block.close();
    expect(screen.text()).toBe(
      "\x1b[?25l\rone\x1b[K\ntwo\x1b[K\n\x1b[0J" +
        "\r\x1b[2A\x1b[0Jnote\none\ntwo\n" +
        "\r\x1b[2Aone\x1b[K\ntwo\x1b[K\n\x1b[0J" +
        "\r\x1b[2A\x1b[0J\x1b[?25h",
    );
  });

  test("counts the rows that a narrowed terminal wrapped", () => {
    const screen = Object.assign(sink(), { isTTY: true, columns: 40 });
    const block = new LiveBlock(screen);
    block.draw(["x".repeat(40), "y"]);
    screen.columns = 20;
    block.draw(["z"]);
    expect(screen.text()).toContain("\r\x1b[3Az\x1b[K\n");
  });
});

test("progress as one line", () => {
  expect(plainLine(heading, running({ skippedFiles: 3n }))).toBe(
    "0:11, 12.4 of 48.1 GiB, 25%, 1.12 GiB/s, ETA 0:32, 1,204 of 18,332 files, 3 skipped, 0 errors; network: " +
      "udp sealed, 8 lanes, RTT 21.3 ms (min 20.1 ms), loss 0.02%, path 1.00 GiB/s, in flight 10.0 of 12.0 MiB, " +
      "limited by the network",
  );
});

describe("the summary", () => {
  const receipt = (more: Partial<Receipt> = {}) =>
    create(ReceiptSchema, {
      state: "done",
      bytes: BigInt(GIB),
      files: 3n,
      seconds: 1.5,
      bytesPerSecond: GIB / 1.5,
      transport: "udp",
      sealed: true,
      verified: "blake3",
      lanes: 4,
      rttMs: 0.2,
      minRttMs: 0.1,
      fsync: true,
      limitedBy: "application",
      ...more,
    } as Parameters<typeof create<typeof ReceiptSchema>>[1]);

  test("of a whole transfer", () => {
    expect(summaryLines(receipt(), { columns: 120, colors })).toEqual([
      "done      1.00 GiB in 3 files   1.50 s   683 MiB/s   verified blake3",
      "network   udp sealed, 4 lanes   RTT 0.20 ms (min 0.10 ms)   loss 0%   limited by the source",
    ]);
  });

  test("says what was kept, moved, not synced, wrong", () => {
    const odd = receipt({
      state: "partial",
      skippedFiles: 2n,
      skippedBytes: 10n,
      removedSources: 1n,
    });
    const text = summaryLines(create(ReceiptSchema, { ...odd, moreErrors: 4n }), {
      columns: 80,
      colors,
      notes: ["fsync off"],
    }).join("\n");
    expect(text).toContain("partial   ");
    expect(text).toContain("2 files already there (10 B)");
    expect(text).toContain("1 source removed");
    expect(text).toContain("note      fsync off");
    expect(text).toContain("4 errors");
    for (const line of text.split("\n")) expect(widthOf(line)).toBeLessThanOrEqual(80);
  });
});

describe("units", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "0.98 KiB"],
    [1536, "1.50 KiB"],
    [1024 * 1023, "0.99 MiB".replace("0.99", "1.00")],
    [12.4 * GIB, "12.4 GiB"],
    [480 * GIB, "480 GiB"],
    [2 ** 60, "1.00 EiB"],
  ])("%d is %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test("times, ratios, pairs", () => {
    expect([0.4, 12.34, 75, 3723, 270_245].map(formatSeconds)).toEqual([
      "0.40 s",
      "12.3 s",
      "1:15",
      "1:02:03",
      "3d 03:04",
    ]);
    expect(formatClock(59.6)).toBe("1:00");
    expect([0, 0.00001, 0.0002, 0.013, 0.5].map(formatRatio)).toEqual([
      "0%",
      "<0.01%",
      "0.02%",
      "1.3%",
      "50%",
    ]);
    expect([0.13, 20.14, 350.4, 1200].map(formatRtt)).toEqual(["0.13 ms", "20.1 ms", "350 ms", "1.20 s"]);
    expect(formatBytesOf(0, GIB)).toBe("0 of 1.00 GiB");
    expect(formatBytesOf(GIB / 2, 2 * GIB)).toBe("512 MiB of 2.00 GiB");
    expect(percentOf(999, 1000)).toBe(99);
  });
});

describe("text", () => {
  test("is shortened in the middle, by columns", () => {
    expect(shortenMiddle("/home/ada/photos", 20)).toBe("/home/ada/photos");
    expect(shortenMiddle("/home/ada/photos", 9)).toBe("/hom…otos");
    expect(widthOf(shortenMiddle("長い名前のファイル", 9))).toBeLessThanOrEqual(9);
  });

  test("parts wrap under the first", () => {
    expect(wrapParts("ab  ", ["11111", "22222", "33333"], 17)).toEqual(["ab  11111   22222", "    33333"]);
  });

  test("tables line up, wide characters too", () => {
    const columns = [{ title: "NAME" }, { title: "SIZE", right: true }, { title: "X" }];
    expect(
      formatTable(columns, [
        ["名前", "1", "a"],
        ["b", "1000", ""],
      ]),
    ).toBe("NAME  SIZE  X\n名前     1  a\nb     1000");
  });
});
