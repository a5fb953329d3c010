import { chart } from "./chart.ts";
import type { Report } from "./report.ts";
import { table } from "./table.ts";

/** What a scenario, or one row of it, has found. */
export interface Outcome {
  /** Of the chart's file: `bench-NAME.svg`. */
  readonly name: string;
  readonly text: string;
  /** For `--json`. */
  readonly data: unknown;
  readonly svg: string;
  /** Something failed, and not only was missing or slow. */
  readonly failed: boolean;
}

export function outcomeOf(report: Report): Outcome {
  return {
    name: report.scenario,
    text: table(report),
    data: report,
    svg: chart(report),
    failed: report.rows.some(({ failed }) => failed !== undefined),
  };
}
