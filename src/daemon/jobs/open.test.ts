import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, it } from "vitest";
import { StartRequestSchema } from "../../gen/packetboat/v1/transfer_pb.ts";
import type { JobDeps } from "./deps.ts";
import { openJob } from "./open.ts";
import { openJobs } from "./store.ts";

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "pb-open-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

it.each([true, false])("a job is resumable where checkpoints are kept: %s", async (keeps) => {
  const deps = { store: openJobs(home), keeps } as JobDeps;
  const request = create(StartRequestSchema, { destination: { path: Buffer.from("/b") } });
  const { job } = await openJob(deps, request, new AbortController().signal);
  expect(job.record.resumable).toBe(keeps);
});
