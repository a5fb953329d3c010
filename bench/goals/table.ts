/** The goals, each with what was got: for people. */
import type { Found } from "./found.ts";
import { GOALS, type Judged } from "./goals.ts";

export type Verdict = "met" | "NOT MET" | "not run";

export function verdictOf(judged: Judged | undefined): Verdict {
  if (judged === undefined) return "not run";
  return judged.part >= 1 ? "met" : "NOT MET";
}

export function goalsTable(found: Found): string {
  const rows = GOALS.map(({ scenario, asked, judge }) => {
    const judged = judge(found);
    return [
      scenario,
      asked,
      judged?.got ?? "",
      judged === undefined ? "" : judged.part.toFixed(2),
      judged === undefined ? "" : String(judged.runs),
      verdictOf(judged),
    ];
  });
  const heads = ["scenario", "goal", "got", "of the goal", "runs", ""];
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const numeric = new Set([2, 3, 4]);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => (numeric.has(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  const count = (verdict: Verdict) => rows.filter((row) => row[5] === verdict).length;
  return [
    'goals: medians; "of the goal": 1.00 and more is met',
    "",
    line(heads),
    ...rows.map(line),
    "",
    `${count("met")} met, ${count("NOT MET")} not met, ${count("not run")} not run`,
  ].join("\n");
}
