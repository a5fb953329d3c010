/** What makes a file durable, in order: a trace that is right, and each way to be wrong. */
import { expect, test } from "vitest";
import { checkOrder, type Expected } from "./order.ts";
import { parseStrace } from "./strace.ts";

const LINES = [
  '1 pwrite64(5</d/.p>, "x", 1, 0) = 1',
  "2 fsync(5</d/.p>) = 0",
  '2 renameat(4</d>, ".p", 4</d>, "f") = 0',
  "2 fsync(4</d>) = 0",
  '3 pwrite64(6</s/journal-1>, "\\xab\\xcd", 2, 0) = 2',
  "3 fdatasync(6</s/journal-1>) = 0",
  '1 sendmsg(7<UDP:[h:1->h:2]>, {iov_base="r"}, 0) = 1',
  '9 unlinkat(3</home>, "f", 0) = 0',
];
const EXPECTED: Expected = {
  target: "/d/f",
  hash: "abcd",
  fileSystem: "/d",
  receiver: "h:1",
  source: "/home/f",
};
const problems = (lines: readonly string[]) => checkOrder(parseStrace(lines.join("\n")), EXPECTED).problems;

test("the right order has no problem", () => {
  expect(problems(LINES)).toEqual([]);
  expect(checkOrder(parseStrace(LINES.join("\n")), EXPECTED).steps.map(({ call }) => call.began)).toEqual([
    0, 1, 2, 3, 4, 5, 6, 7,
  ]);
});

test.each(LINES.map((line, at) => [at, line] as const))("without line %i it is red", (at) => {
  expect(problems(LINES.filter((_, n) => n !== at))).not.toEqual([]);
});

test.each(LINES.slice(1).map((line, at) => [at, line] as const))(
  "line %i after the next one is red",
  (at) => {
    const lines = [...LINES];
    [lines[at], lines[at + 1]] = [lines[at + 1] ?? "", lines[at] ?? ""];
    expect(problems(lines)).not.toEqual([]);
  },
);

test.each([1, 3, 5])("a sync (line %i) that failed, or never reached the kernel, is none", (at) => {
  const failed = LINES.map((line, n) => (n === at ? line.replace("= 0", "= -1 EIO") : line));
  const injected = LINES.map((line, n) => (n === at ? `${line} (INJECTED)` : line));
  expect(problems(failed)).not.toEqual([]);
  expect(problems(injected)).not.toEqual([]);
});

test("a call that began before the one it must follow had ended is out of order", () => {
  const overlapping = LINES.flatMap((line, at) => {
    if (at === 1) return ["2 fsync(5</d/.p> <unfinished ...>"];
    return at === 2 ? [line.replace("2 renameat", "4 renameat"), "2 <... fsync resumed>) = 0"] : [line];
  });
  expect(problems(overlapping)).not.toEqual([]);
});
