import { expect, test } from "vitest";
import { allProcesses, family, highWaterBytes, parseStat, parseTimes } from "./proc.ts";

const use = (pid: number, parent: number, group: number) => ({ pid, parent, group, cpuSeconds: 0 });

test("a name with spaces and parentheses does not shift the fields", () => {
  const line = "42 (a) b (c) S 7 40 40 0 -1 4194304 1 2 3 4 100 50 25 5 20 0 1 0 9";
  expect(parseStat(line)).toEqual({ pid: 42, parent: 7, group: 40, cpuSeconds: 1.8 });
});

test("a family is its roots, their descendants and their groups", () => {
  const all = [
    use(1, 0, 1),
    use(10, 1, 10),
    use(11, 10, 10),
    use(12, 11, 12),
    use(13, 1, 10),
    use(20, 1, 20),
  ];
  expect(family(new Set([10]), all).map(({ pid }) => pid)).toEqual([10, 11, 12, 13]);
});

test("what a shell's times prints, dash's way and bash's", () => {
  expect(parseTimes("0m0.000000s 0m0.010000s\n1m2.500000s 0m0.250000s\n")).toBe(62.75);
  expect(parseTimes("0m0.003s 0m0.002s\n0m1.500s 0m0.500s\n")).toBe(2);
  expect(() => parseTimes("1.2 3.4")).toThrow("not what a shell's times prints");
});

test("this process is found, with memory", () => {
  expect(family(new Set([process.pid]), allProcesses()).map(({ pid }) => pid)).toContain(process.pid);
  expect(highWaterBytes(process.pid)).toBeGreaterThan(1 << 20);
  expect(highWaterBytes(2 ** 30)).toBe(0);
});
