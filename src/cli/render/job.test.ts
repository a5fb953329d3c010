import { create } from "@bufbuild/protobuf";
import { createColors } from "picocolors";
import { expect, test } from "vitest";
import { JobSchema } from "../../gen/packetboat/v1/job_pb.ts";
import { jobTable } from "./job.ts";
import { widthOf } from "./text.ts";

const colors = createColors(false);
const job = (source: string, destination: string) =>
  create(JobSchema, {
    id: "0123456789abcdef",
    state: "interrupted",
    source,
    destination,
    label: "nightly",
    changedAt: "2026-11-23T06:57:00.000Z",
  });
const LONG = `/srv/${"deep/".repeat(12)}films`;

test.each([80, 100, 120])("a list of jobs fits %i columns, both ends of each place kept", (columns) => {
  const lines = jobTable([job(LONG, `nas:${LONG}`), job("/a", "box:/b")], colors, columns).split("\n");
  for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
  expect(lines[1]).toMatch(/ \/srv\S*…\S+ {2,}nas:\S*…\S+ /);
  expect(lines[1]).toContain("2026-11-23 06:57");
});

test("the short place of the two leaves its room to the other; into a pipe both go whole", () => {
  const jobs = [job(LONG, "box:/films")];
  expect(jobTable(jobs, colors, 140)).toContain(LONG);
  expect(jobTable([job(LONG, `nas:${LONG}`)], colors)).toContain(`nas:${LONG}`);
});
