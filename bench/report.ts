import { arch, cpus, release } from "node:os";
import type { PeerRuns } from "./measure.ts";
import type { Scenario, Work } from "./scenario.ts";

export interface Report {
  readonly scenario: string;
  readonly title: string;
  readonly work: Work;
  readonly machine: {
    readonly cpus: number;
    readonly model: string;
    readonly kernel: string;
    readonly node: string;
  };
  readonly folder: string;
  readonly runs: readonly (PeerRuns & Partial<Figures>)[];
}

interface Figures {
  readonly medianSeconds: number;
  readonly minSeconds: number;
  readonly maxSeconds: number;
  /** In the work's unit, at the median. */
  readonly rate: number;
}

export function makeReport(
  scenario: Scenario,
  work: Work,
  place: { readonly folder: string; readonly runs: readonly PeerRuns[] },
): Report {
  return {
    scenario: scenario.name,
    title: scenario.title,
    work: { ...work, path: "" },
    machine: {
      cpus: cpus().length,
      model: `${cpus()[0]?.model ?? arch()}`,
      kernel: release(),
      node: process.versions.node,
    },
    folder: place.folder,
    runs: place.runs.map((run) =>
      run.seconds.length === 0 ? run : { ...run, ...figures(run.seconds, work) },
    ),
  };
}

export function figures(seconds: readonly number[], work: Pick<Work, "bytes" | "files" | "unit">): Figures {
  const sorted = [...seconds].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  const medianSeconds = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
  const amount = work.unit === "Gbit/s" ? (work.bytes * 8) / 1e9 : work.files;
  return {
    medianSeconds,
    minSeconds: sorted[0] ?? 0,
    maxSeconds: sorted.at(-1) ?? 0,
    rate: amount / medianSeconds,
  };
}

/** The last column: how many times as fast as this peer the first one was. */
export function table(report: Report): string {
  const { unit } = report.work;
  const first = report.runs.find((run) => run.medianSeconds !== undefined)?.medianSeconds;
  const rows = [["", "median s", "min s", "max s", unit, "runs", "first is × as fast"]];
  for (const run of report.runs) {
    if (run.medianSeconds === undefined || first === undefined) {
      rows.push([run.title, `SKIPPED: ${run.skipped ?? "no runs"}`]);
      continue;
    }
    const seconds = [run.medianSeconds, run.minSeconds ?? 0, run.maxSeconds ?? 0].map((value) =>
      value.toFixed(3),
    );
    const rate = (run.rate ?? 0).toFixed(unit === "Gbit/s" ? 2 : 0);
    rows.push([
      run.title,
      ...seconds,
      rate,
      String(run.seconds.length),
      (run.medianSeconds / first).toFixed(2),
    ]);
  }
  const { cpus: count, model, kernel, node } = report.machine;
  const head = `${report.title}\n${count} × ${model}, Linux ${kernel}, Node ${node}`;
  return `${head}\n${aligned(rows)}`;
}

/** Names to the left, numbers to the right. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.filter((row) => row.length > 2).map((row) => row[at]?.length ?? 0)),
  );
  const names = Math.max(...rows.map((row) => row[0]?.length ?? 0));
  const line = (row: readonly string[]) =>
    row.map((cell, at) =>
      at === 0 ? cell.padEnd(names) : cell.padStart(row.length > 2 ? (widths[at] ?? 0) : 0),
    );
  return rows.map((row) => line(row).join("  ").trimEnd()).join("\n");
}
