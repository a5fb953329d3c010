import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Transport } from "../gen/packetboat/v1/transfer_pb.ts";
import { EVENT, RECORD_SEPARATOR, type TraceRecord } from "../model/trace.ts";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

let loop: Loopback;
beforeAll(async () => {
  loop = await startLoopback();
  await writeFile(loop.at("data"), Buffer.alloc(3_000_000, 7));
});
afterAll(() => loop[Symbol.asyncDispose]());

interface Read {
  readonly header: { readonly qlog_format?: string };
  readonly records: readonly TraceRecord[];
}

async function readTrace(path: string): Promise<Read> {
  const [, header = "", ...records] = (await readFile(path, "utf8")).split(RECORD_SEPARATOR);
  return { header: JSON.parse(header), records: records.map((text) => JSON.parse(text)) };
}

const named = (trace: Read, name: string) => trace.records.filter((record) => record.name === name);

describe("a trace", () => {
  it.each(["udp", "tcp"] as const)(
    "of an upload by %s has both sides' lanes and the job",
    async (transport) => {
      const traceFile = loop.at(`up-${transport}`);
      const wire = transport === "udp" ? Transport.UDP : Transport.TCP;
      const { receipt } = await transfer(loop, {
        from: loop.at("data"),
        to: `box:/up-${transport}`,
        traceFile,
        // Long enough for samples of both sides.
        options: { transport: wire, limitBytesPerSecond: 10_000_000n },
      });
      expect(receipt?.state).toBe("done");
      const trace = await readTrace(traceFile);
      expect(trace.header.qlog_format).toBe("JSON-SEQ");
      const up = named(trace, EVENT.laneUp);
      expect(up.length).toBeGreaterThan(0);
      expect(up.map(({ data }) => data.protocol)).toEqual(up.map(() => transport));
      expect(named(trace, EVENT.laneDown)).toHaveLength(up.length);
      const near = named(trace, EVENT.metrics).filter(({ vantage_point }) => vantage_point === undefined);
      const far = named(trace, EVENT.metrics).filter(({ vantage_point }) => vantage_point === "server");
      expect(Math.max(...near.map(({ data }) => Number(data.bytes_sent)))).toBeGreaterThan(100_000);
      expect(far.length).toBeGreaterThan(0);
      expect(named(trace, EVENT.jobEnded)[0]?.data).toMatchObject({
        state: "done",
        bytes: 3_000_000,
        transport,
      });
    },
  );

  it("of a copy on this machine has the job alone", async () => {
    const traceFile = loop.at("local-trace");
    const { receipt } = await transfer(loop, {
      from: loop.at("data"),
      to: loop.at("copy"),
      traceFile,
    });
    expect(receipt?.state).toBe("done");
    const trace = await readTrace(traceFile);
    expect(named(trace, EVENT.metrics)).toEqual([]);
    expect([named(trace, EVENT.jobStarted).length, named(trace, EVENT.jobEnded).length]).toEqual([1, 1]);
  });

  it("that cannot be written ends the transfer before it begins", async () => {
    await mkdir(loop.at("folder"));
    const { error } = await transfer(loop, {
      from: loop.at("data"),
      to: "box:/never",
      traceFile: loop.at("folder"),
    });
    expect([error?.code, error?.path]).toEqual(["io_error", loop.at("folder")]);
    await expect(readFile(join(loop.box.folder, "never"))).rejects.toThrow("ENOENT");
  });
});
