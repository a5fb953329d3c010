import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../lib/tools.mjs";
import { countCargo, countVitest } from "./step.mjs";

test("cargo's summaries are summed over crates", () => {
  const text = [
    "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
    "test cc::tests::slow ... FAILED",
    "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
  ].join("\n");
  expect(countCargo(101, text)).toMatchObject({ passed: 15, failed: 2, skipped: 1 });
  expect(countCargo(101, text).notes).toEqual(["FAILED: cc::tests::slow"]);
});

test("a crate that does not compile is a failure", () => {
  expect(countCargo(101, "error: could not compile `pb-io`")).toMatchObject({ passed: 0, failed: 1 });
});

const file = (status: string, ...tests: string[]) => ({
  status,
  name: join(ROOT, "src/some.test.ts"),
  message: status === "failed" ? "SyntaxError" : "",
  assertionResults: tests.map((state, n) => ({
    status: state,
    fullName: `t${n}`,
    failureMessages: state === "failed" ? ["expected 1\n\n    at src/some.test.ts:3"] : [],
  })),
});

test("vitest's report is counted; what failed and what was skipped is named, with why", () => {
  const report = { testResults: [file("passed", "passed", "pending"), file("failed", "failed", "passed")] };
  expect(countVitest(1, report)).toEqual({
    passed: 2,
    failed: 1,
    skipped: 1,
    notes: ["FAILED: src/some.test.ts: t0\n    expected 1\n        at src/some.test.ts:3", "SKIPPED: t1"],
  });
});

test("a test file that cannot be loaded, and a runner that died, are failures", () => {
  expect(countVitest(1, { testResults: [file("failed")] })).toMatchObject({
    passed: 0,
    failed: 1,
    notes: ["FAILED: src/some.test.ts\n    SyntaxError"],
  });
  expect(countVitest(1, { testResults: [file("passed", "passed")] })).toMatchObject({ passed: 1, failed: 1 });
  expect(countVitest(1, undefined)).toMatchObject({ failed: 1 });
});
