import { afterEach, beforeEach, expect, test } from "vitest";
import { type Scratch, scratch } from "../../test/e2e/lib/scratch.ts";
import { freePort } from "./program.ts";
import { Side } from "./side.ts";

let folder: Scratch;
let side: Side;

beforeEach(() => {
  folder = scratch();
  const host = { address: "127.0.0.1" };
  side = new Side({ host, other: host, folder: folder.at("side"), watchMemory: true });
});
afterEach(async () => {
  await side.close();
  await folder[Symbol.asyncDispose]();
});

const SPIN = "const end = process.cpuUsage().user + 100_000; while (process.cpuUsage().user < end);";
const LISTEN = "require('net').createServer().listen(Number(process.argv[1]), '127.0.0.1')";

test("a program that ran has its output and its CPU time counted", async () => {
  expect(
    await side.run(process.execPath, ["-e", `${SPIN} console.log(process.argv[1])`, "hello there"]),
  ).toBe("hello there\n");
  expect(side.cpuSeconds()).toBeGreaterThan(0.08);
});

test("a program that fails is an error with what it said", async () => {
  await expect(side.run("sh", ["-c", "echo so sorry >&2; exit 3"])).rejects.toThrow(/sh: exit 3\nso sorry/);
});

test("a server is ready when it listens, is accounted for, and is gone after close", async () => {
  const port = await freePort();
  await side.daemon(process.execPath, ["-e", LISTEN, String(port)], { port });
  expect(side.processes()).toBe(1);
  await side.settle(1);
  expect(side.peakBytes()).toBeGreaterThan(1 << 20);
  await side.close();
  expect(side.processes()).toBe(0);
});

test("a server that reports on its output", async () => {
  expect(await side.daemon("sh", ["-c", "echo ready; exec sleep 60"])).toBe("ready");
});

test("a server that ends at once is an error with what it said", async () => {
  const failing = side.daemon("sh", ["-c", "echo no licence >&2; exit 1"], { port: 1 });
  await expect(failing).rejects.toThrow(/ended with 1\nno licence/);
});
