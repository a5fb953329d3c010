import { defineConfig } from "vitest/config";

/** End-to-end tests that mostly wait (for a limit, a retry, a killed process to be noticed) and have servers of their own: two files at a time. */
const BESIDE = [
  "test/e2e/{access,elsewhere,elsewhere-kinds,failures,files,jobs,resume,resume-matrix,secrets,sftp-ftp,tokens,transfer,trees,wizard}.test.ts",
  "test/crash/faults/*.test.ts",
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "scripts/**/*.test.ts", "bench/**/*.test.ts"],
          pool: "forks",
          testTimeout: 20_000,
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
          maxWorkers: 2,
          globalSetup: ["test/e2e/build.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
