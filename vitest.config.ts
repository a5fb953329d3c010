import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** End-to-end tests that mostly wait (for a limit, a retry, a killed process to be noticed) and have servers of their own: several files at a time. */
const BESIDE = [
  "test/e2e/{access,between,discard,elsewhere,elsewhere-kinds,endpoints,failures,files,jobs,orphans,resume,resume-matrix,rotation,secrets,sftp-ftp,streams,terminal,tokens,transfer,trees,warm,wizard}.test.ts",
  "test/crash/{crash,faults/*}.test.ts",
];

/** Most tests wait for something now and then; vitest by itself would leave one of two cores idle. More than a few servers at once would be short of memory. */
const WORKERS = Math.min(availableParallelism() + 1, 6);

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "scripts/**/*.test.ts", "bench/**/*.test.ts"],
          pool: "forks",
          maxWorkers: WORKERS,
          testTimeout: 20_000,
          // What is polled for comes soon; a busy machine may take more than vitest's second.
          expect: { poll: { timeout: 10_000 } },
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/**/*.test.ts"],
          exclude: BESIDE,
          pool: "forks",
          // Links, memory and time are shared: one file at a time.
          fileParallelism: false,
          globalSetup: ["test/e2e/build.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "e2e-beside",
          include: BESIDE,
          pool: "forks",
          maxWorkers: WORKERS,
          globalSetup: ["test/e2e/build.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
