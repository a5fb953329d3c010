/** Runs one step of `npm test` and counts it from what its runner reports to machines. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { ROOT } from "../lib/tools.mjs";

/**
 * Output goes to this process's, and is kept. A process that is killed or cannot start has a status above 0.
 *
 * @returns {Promise<{ status: number, text: string }>}
 */
export function tee(command, args, { timeoutMs = 15 * 60_000, env = process.env } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
    const parts = [];
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    for (const [from, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      from.on("data", (chunk) => {
        parts.push(chunk);
        to.write(chunk);
      });
    }
    const end = (status) => {
      clearTimeout(timer);
      resolve({ status, text: Buffer.concat(parts).toString("utf8") });
    };
    child.once("error", (error) => {
      parts.push(Buffer.from(String(error)));
      end(127);
    });
    child.once("close", (code) => end(code ?? 1));
  });
}

/** Of each failure's message; the rest is where the runner printed it. */
const LINES_OF_FAILURE = 16;

export const NOTHING = { passed: 0, failed: 0, skipped: 0, notes: [] };

/** A check that passes or fails as a whole. */
export async function check(command, args, options) {
  const { status } = await tee(command, args, options);
  return status === 0 ? { ...NOTHING, passed: 1 } : { ...NOTHING, failed: 1 };
}

/** Sums cargo's "test result:" lines; a crash or a compile error counts as one failure. */
export async function cargoTest(args) {
  const { status, text } = await tee("cargo", ["test", "--manifest-path", "native/Cargo.toml", ...args]);
  return countCargo(status, text);
}

export function countCargo(status, text) {
  const counts = { ...NOTHING };
  for (const line of text.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    counts.passed += Number(line[1]);
    counts.failed += Number(line[2]);
    counts.skipped += Number(line[3]);
  }
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  const failed = new Set([...text.matchAll(/^test (.+?) \.\.\. FAILED$/gm)].map((line) => line[1]));
  return { ...counts, notes: [...failed].map((name) => `FAILED: ${name}`) };
}

/** Runs a vitest project and counts from its JSON report. */
export async function vitest(name, args, options) {
  const report = join(ROOT, `.cache/vitest-${name}.json`);
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  rmSync(report, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const { status } = await tee(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", ...reporters, ...args],
    {
      ...options,
      env: { ...process.env, ...options?.env },
    },
  );
  return countVitest(status, existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : undefined);
}

export function countVitest(status, report) {
  if (report === undefined) return { ...NOTHING, failed: 1, notes: ["the runner left no report"] };
  const tests = report.testResults.flatMap((file) => file.assertionResults);
  const of = (...states) => tests.filter((test) => states.includes(test.status));
  const skipped = of("pending", "skipped", "todo", "disabled");
  // A file that could not be loaded has no tests, only a failed state.
  const broken = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  );
  const failed = of("failed").length + broken.length;
  return {
    passed: of("passed").length,
    failed: status !== 0 && failed === 0 ? 1 : failed,
    skipped: skipped.length,
    notes: [
      ...report.testResults.flatMap((file) =>
        file.assertionResults
          .filter((test) => test.status === "failed")
          .map((test) =>
            failure(`${relative(ROOT, file.name)}: ${test.fullName}`, test.failureMessages?.[0]),
          ),
      ),
      ...broken.map((file) => failure(relative(ROOT, file.name), file.message)),
      ...skipped.map((test) => `SKIPPED: ${test.fullName}`),
    ],
  };
}

/** A name and the first lines of why, for whoever sees only the end of a long log. */
function failure(name, why = "") {
  const lines = why.split("\n").filter((line) => line.trim() !== "");
  return [`FAILED: ${name}`, ...lines.slice(0, LINES_OF_FAILURE)].join("\n    ");
}
