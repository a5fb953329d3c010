import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  Overwrite,
  ReceiptSchema,
  type StartRequest,
  type StartResponseSchema,
  Transport,
} from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { pathBytes, pathText } from "../model/path.ts";
import { toConnectError } from "../wire/connect.ts";
import { exitCodeOfReceipt } from "./follow.ts";
import { type CliSetup, cli } from "./testing/cli.ts";
import { fakeFiles } from "./testing/services.ts";

type Event = NonNullable<MessageInitShape<typeof StartResponseSchema>["event"]>;

const receipt = {
  jobId: "01J",
  state: "done",
  bytes: 2048n,
  files: 2n,
  seconds: 0.5,
  bytesPerSecond: 4096,
  transport: "udp",
  sealed: true,
  verified: "blake3",
  lanes: 4,
  rttMs: 0.2,
  minRttMs: 0.1,
  fsync: true,
  limitedBy: "congestion",
  hashes: [{ path: pathBytes("a"), size: 2048n, blake3: new Uint8Array(32).fill(0xab) }],
};
const progress = {
  bytes: 1024n,
  totalBytes: 2048n,
  totalFiles: 2n,
  listingDone: true,
  transport: "udp",
  seconds: 0.1,
};

/** A service that plays these events; `requests` keeps what it was asked. */
function playing(events: readonly Event[], more: CliSetup = {}): CliSetup & { requests: StartRequest[] } {
  const requests: StartRequest[] = [];
  const transfers = {
    async *start(request: StartRequest) {
      requests.push(request);
      for (const event of events) yield { event };
    },
  };
  return { transfers, files: fakeFiles({ "/": 0, "/d/": 0, "/d/a.gz": 1, "/d/b.gz": 2 }), ...more, requests };
}

const done = (): ReturnType<typeof playing> =>
  playing([
    { case: "progress", value: progress },
    { case: "receipt", value: receipt },
  ]);

async function asked(...args: string[]): Promise<StartRequest> {
  const setup = done();
  const { code, stderr } = await cli(args, setup);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  const [request] = setup.requests;
  if (!request) throw new Error("nothing was asked");
  return request;
}

describe("what is asked", () => {
  test("places: absolute here, as given there", async () => {
    const request = await asked("cp", "x/../y", "box:/b");
    const { sources, destination } = request;
    expect(sources.map(({ remote, path }) => [remote, pathText(path)])).toEqual([["", "/here/y"]]);
    expect([destination?.remote, pathText(destination?.path ?? new Uint8Array())]).toEqual(["box", "/b"]);
    expect(request).toMatchObject({ several: false, move: false, dryRun: false, manifestFile: "" });
  });

  test("-r changes nothing", async () => {
    expect((await asked("cp", "-r", "a", "box:/")).several).toBe(false);
    expect((await asked("cp", "-R", "a", "box:/")).sources).toHaveLength(1);
  });

  test("several, and globs, arrive under their names", async () => {
    expect((await asked("cp", "a", "b", "box:/")).several).toBe(true);
    expect((await asked("cp", "box:/d/a*", ".")).several).toBe(true);
    expect((await asked("cp", "box:/d/a.gz", ".")).several).toBe(false);
    expect((await asked("cp", "box:/d/*.gz", ".")).sources).toHaveLength(2);
  });

  test("standard streams", async () => {
    const sent = await asked("cp", "-", "box:/x");
    expect(sent).toMatchObject({ sources: [], sourceFd: 0 });
    const received = await asked("cp", "box:/x", "-");
    expect(received.destination).toBeUndefined();
    expect(received.destinationFd).toBe(1);
  });

  test("include and exclude in the order of the line", async () => {
    const { options } = await asked(
      "cp",
      "--exclude",
      "*.tmp",
      "--include",
      "keep/**",
      "a",
      "box:/",
      "--exclude",
      "keep",
      "--include=-x",
    );
    expect(options?.filters.map(({ include, pattern }) => [include, pattern])).toEqual([
      [false, "*.tmp"],
      [true, "keep/**"],
      [false, "keep"],
      [true, "-x"],
    ]);
  });

  test("defaults leave the choice to the service", async () => {
    expect((await asked("cp", "a", "box:/")).options).toMatchObject({
      overwrite: Overwrite.IF_DIFFERENT,
      transport: Transport.AUTO,
      sealOff: false,
      fsyncOff: false,
      permsOff: false,
      owner: false,
      follow: false,
      lanes: 0,
      parallelFiles: 0,
      chunkBytes: 0,
      limitBytesPerSecond: 0n,
      memoryBytes: 0n,
      controller: "",
    });
  });

  test("every option", async () => {
    const request = await asked(
      ...["mv", "a", "box:/", "--min-size", "1K", "--max-size", "1G", "--min-age", "1m", "--max-age", "1d"],
      ...[
        "--overwrite",
        "never",
        "--parallel-files",
        "9",
        "--lanes",
        "3",
        "--chunk",
        "128K",
        "--transport",
        "tcp",
      ],
      ...[
        "--limit",
        "1Gbit",
        "--memory",
        "64M",
        "--seal",
        "off",
        "--fsync",
        "off",
        "--no-perms",
        "--owner",
        "-L",
      ],
      ...["--controller", "cubic", "--manifest", "m.jsonl", "--trace", "t.qlog"],
    );
    expect(request).toMatchObject({ move: true, manifestFile: "/here/m.jsonl", traceFile: "/here/t.qlog" });
    expect(request.options).toMatchObject({
      minSize: 1024n,
      maxSize: 1_073_741_824n,
      minAge: 60n,
      maxAge: 86_400n,
      overwrite: Overwrite.NEVER,
      parallelFiles: 9,
      lanes: 3,
      chunkBytes: 131_072,
      transport: Transport.TCP,
      limitBytesPerSecond: 125_000_000n,
      memoryBytes: 67_108_864n,
      sealOff: true,
      fsyncOff: true,
      permsOff: true,
      owner: true,
      follow: true,
      controller: "cubic",
    });
  });
});

describe("--background", () => {
  test("chooses the controller that yields", async () => {
    expect((await asked("cp", "a", "box:/", "--background")).options).toMatchObject({ controller: "ledbat" });
  });

  test.each([
    ["--controller", "bbr"],
    ["--transport", "tcp"],
  ])("does not go with %s %s", async (...flags) => {
    const { code, stderr } = await cli(["cp", "a", "box:/", "--background", ...flags], done());
    expect(code).toBe(2);
    expect(stderr).toContain("--background");
  });
});

/** What every receipt has, whatever became of the transfer. */
const FIELDS = [
  ...[
    "jobId",
    "state",
    "bytes",
    "files",
    "seconds",
    "bytesPerSecond",
    "transport",
    "sealed",
    "verified",
    "lanes",
  ],
  ...["rttMs", "lossRate", "retransmittedBytes", "limitedBy", "errors", "hashes", "source", "destination"],
];

describe("receipts", () => {
  test("--json: one object on standard output, at the end", async () => {
    const { code, stdout, stderr } = await cli(["cp", "--json", "a", "box:/"], done());
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    const record = JSON.parse(stdout) as Record<string, unknown>;
    for (const field of FIELDS) expect(record).toHaveProperty(field);
    expect(record).toMatchObject({ jobId: "01J", bytes: 2048, bytesPerSecond: 4096, errors: [] });
    expect(record.hashes).toEqual([{ path: "a", size: 2048, blake3: "ab".repeat(32) }]);
  });

  test("for people on standard error", async () => {
    const { stdout, stderr } = await cli(["cp", "a", "box:/"], done());
    expect(stdout).toBe("");
    expect(stderr).toBe(
      "done      2.00 KiB in 2 files   0.50 s   4.00 KiB/s   verified blake3\n" +
        "network   udp sealed, 4 lanes   RTT 0.20 ms (min 0.10 ms)   loss 0%\n" +
        "          limited by the network\n",
    );
    expect((await cli(["cp", "-q", "a", "box:/"], done())).stderr).toBe("");
  });

  test("--receipt: the same in a file, also beside data on standard output, also of a failure", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pb-receipt-"));
    const read = () => JSON.parse(readFileSync(join(folder, "r.json"), "utf8"));
    try {
      expect((await cli(["cp", "a", "-", "--receipt", "r.json"], { ...done(), cwd: folder })).code).toBe(0);
      expect(read()).toMatchObject({ jobId: "01J", state: "done" });
      expect(
        (await cli(["cp", "a", "box:/", "--receipt", "r.json"], { ...playing([]), cwd: folder })).code,
      ).toBe(7);
      expect(read()).toMatchObject({ state: "failed", errors: [{ code: "protocol_violation" }] });
      const nowhere = await cli(["cp", "a", "box:/", "--receipt", "no/r.json"], { ...done(), cwd: folder });
      expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining("no/r.json") });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("jsonl: events, then the receipt", async () => {
    const { stdout } = await cli(["cp", "-o", "jsonl", "a", "box:/"], done());
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string });
    expect(events.map(({ event }) => event)).toEqual(["progress", "receipt"]);
  });

  test("a reader of events that goes away ends the transfer quietly: it is stopped", async () => {
    const stdoutError = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
    const job = { id: "0a1b2c3d-0000-4000-8000-000000000000", resumed: false, resumable: true };
    let stopped = false;
    const transfers: CliSetup["transfers"] = {
      async *start(_, { signal }) {
        signal.addEventListener("abort", () => {
          stopped = true;
        });
        yield { event: { case: "job", value: job } };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    };
    const run = await cli(["cp", "-o", "jsonl", "a", "box:/"], { transfers, stdoutError });
    expect(run).toMatchObject({ code: 130, stderr: "go on with: pb jobs resume 0a1b2c3d\n" });
    expect(stopped).toBe(true);
  });

  test("how it went is the exit code, also when nobody reads the receipt", async () => {
    const stdoutError = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
    const partial = playing([{ case: "receipt", value: { ...receipt, state: "partial" } }]);
    expect((await cli(["cp", "--json", "a", "box:/"], { ...partial, stdoutError })).code).toBe(6);
    const without = playing([]);
    expect((await cli(["cp", "--json", "a", "box:/"], { ...without, stdoutError })).code).toBe(7);
  });

  test("an error of the call: a receipt for programs, the error for all", async () => {
    const setup: CliSetup = {
      transfers: {
        // biome-ignore lint/correctness/useYield: it fails before it has anything to give
        async *start() {
          throw toConnectError(
            new PbError("unreachable", "box.example:7373 does not answer", { peer: "box" }),
          );
        },
      },
    };
    const { code, stdout, stderr } = await cli(["cp", "--json", "a", "box:/"], setup);
    expect(code).toBe(5);
    const record = JSON.parse(stdout) as Record<string, unknown>;
    const good = JSON.parse((await cli(["cp", "--json", "a", "box:/"], done())).stdout) as object;
    expect(Object.keys(record).sort()).toEqual(Object.keys(good).sort());
    expect(record).toMatchObject({ state: "failed", errors: [{ code: "unreachable" }] });
    expect(JSON.parse(stderr).error.code).toBe("unreachable");
    expect((await cli(["cp", "a", "box:/"], setup)).stderr).toBe("pb: box.example:7373 does not answer\n");
  });

  test.each([
    ["partial", [], 6],
    ["aborted", [], 130],
    ["failed", ["not_found"], 3],
    ["failed", ["no_space", "io_error"], 7],
    ["failed", [], 1],
  ])("state %s with errors %j exits with %d", (state, codes, exit) => {
    const errors = codes.map((code) => ({ code, message: "x" }));
    expect(exitCodeOfReceipt(create(ReceiptSchema, { state, errors }))).toBe(exit);
  });

  test("errors and notices are told once, as they come", async () => {
    const error = { code: "permission_denied", message: "cannot read", path: pathBytes("a\n") };
    const setup = playing([
      { case: "notice", value: { code: "fallback-tcp", message: "UDP is blocked; fell back to TCP" } },
      { case: "error", value: error },
      { case: "receipt", value: { ...receipt, state: "partial", errors: [error] } },
    ]);
    const { code, stderr } = await cli(["cp", "a", "box:/"], setup);
    expect(code).toBe(6);
    expect(stderr).toMatch(/^UDP is blocked; fell back to TCP\npb: a\\n: cannot read\npartial /);
    expect(stderr.match(/cannot read/g)).toHaveLength(1);
  });

  test("a dry run prints what would be done", async () => {
    const plan = [
      { case: "planned", value: { action: "copy", path: pathBytes("a"), size: 2048n } },
      { case: "planned", value: { action: "skip", path: pathBytes("b"), reason: "is the same" } },
      { case: "receipt", value: receipt },
    ] as const;
    const people = await cli(["cp", "-n", "a", "box:/"], playing(plan));
    expect(people).toMatchObject({
      stdout: "copy          a  2.00 KiB\nskip          b  (is the same)\n",
      stderr: "",
    });
    const programs = JSON.parse((await cli(["cp", "-n", "--json", "a", "box:/"], playing(plan))).stdout);
    expect(programs.planned).toEqual([
      { action: "copy", path: "a", size: 2048, reason: "" },
      { action: "skip", path: "b", size: 0, reason: "is the same" },
    ]);
  });
});

describe("on a terminal", () => {
  test("a block while it runs, the cursor back, then the receipt", async () => {
    const env = { TERM: "xterm", NO_COLOR: "1" };
    const { stderr } = await cli(["cp", "a", "box:/"], { ...done(), columns: 80, env });
    expect(stderr.startsWith("\x1b[?25l")).toBe(true);
    expect(stderr).toContain("a → box:/");
    expect(stderr.indexOf("\x1b[?25h")).toBeGreaterThan(stderr.indexOf("50%"));
    expect(stderr.slice(stderr.indexOf("\x1b[?25h"))).toContain("2.00 KiB in 2 files");
  });

  test("not on a dumb one, not when quiet", async () => {
    const dumb = await cli(["cp", "a", "box:/"], { ...done(), columns: 80, env: { TERM: "dumb" } });
    expect(dumb.stderr).not.toContain("\x1b");
    const quiet = await cli(["cp", "-q", "a", "box:/"], { ...done(), columns: 80 });
    expect(quiet.stderr).toBe("");
  });
});

test.each([
  ["500ms", 2],
  ["30d", 1],
])("where there is no terminal: a line after a second, then every %s", async (interval, count) => {
  const setup: CliSetup = {
    transfers: {
      async *start() {
        yield { event: { case: "progress", value: progress } as const };
        await new Promise((resolve) => setTimeout(resolve, 1_950));
        yield { event: { case: "receipt", value: receipt } as const };
      },
    },
  };
  const { stderr } = await cli(["cp", "--progress-interval", interval, "a", "box:/"], setup);
  const lines = stderr.split("\n").filter((line) => line.includes("network: "));
  expect(lines).toHaveLength(count);
  expect(lines[0]).toMatch(/^0:00, 1\.00 of 2\.00 KiB, 50%/);
});

test("Ctrl-C: exit 130, an aborted receipt with what was last known", async () => {
  const controller = new AbortController();
  const setup: CliSetup = {
    signal: controller.signal,
    transfers: {
      async *start(_request, { signal }) {
        yield { event: { case: "progress", value: progress } as const };
        setTimeout(() => controller.abort(), 20);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        throw signal.reason;
      },
    },
  };
  const { code, stdout } = await cli(["cp", "--json", "a", "box:/"], setup);
  expect(code).toBe(130);
  expect(JSON.parse(stdout)).toMatchObject({ state: "aborted", bytes: 1024, errors: [{ code: "aborted" }] });
});
