import { expect, test } from "vitest";
import { divide, parseCpuList } from "./cores.ts";

test("lists of CPUs as the kernel writes them", () => {
  expect(parseCpuList("0-2,5\n")).toEqual([0, 1, 2, 5]);
  expect(parseCpuList("7")).toEqual([7]);
  expect(parseCpuList("")).toEqual([]);
});

test("emulators and receivers never share a core, unless there is only one", () => {
  expect(divide([0, 1])).toEqual({ receivers: [0], emulators: [1] });
  expect(divide([0, 1, 5])).toEqual({ receivers: [0, 1], emulators: [5] });
  expect(divide([0])).toBeUndefined();
});
