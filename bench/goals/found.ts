/** What `--json` files of the bench hold, by scenario and peer; the later of two rows of one name is the one that counts. */
import type { FairReport, FairResult } from "../fair/report.ts";
import type { Figures, Report, Row } from "../report.ts";

export class Found {
  readonly #rows = new Map<string, Map<string, Row>>();
  readonly #fair = new Map<string, FairResult>();

  /** @param outcomes `Outcome.data` of scenarios, as they come out of JSON; those of other scenarios are passed over */
  constructor(outcomes: readonly unknown[]) {
    for (const outcome of outcomes) {
      if (isFair(outcome)) this.#addFair(outcome);
      else if (isReport(outcome))
        for (const row of outcome.rows) this.#rowsOf(outcome.scenario).set(row.name, row);
    }
  }

  figures(scenario: string, peer: string): Figures | undefined {
    return this.#rows.get(scenario)?.get(peer)?.figures;
  }

  /** A peer that was stopped or failed has none; undefined also where it never ran. */
  row(scenario: string, peer: string): Row | undefined {
    return this.#rows.get(scenario)?.get(peer);
  }

  rows(scenario: string): readonly Row[] {
    return [...(this.#rows.get(scenario)?.values() ?? [])];
  }

  /** The highest rate of those that are neither ours nor `cp`. */
  bestPeerRate(scenario: string): number | undefined {
    const rates = this.rows(scenario).flatMap(({ role, figures }) =>
      role === "peer" && figures !== undefined ? [figures.rate] : [],
    );
    return rates.length === 0 ? undefined : Math.max(...rates);
  }

  fair(row: string): FairResult | undefined {
    return this.#fair.get(row);
  }

  /** What is void says nothing; an earlier run that is not stands. */
  #addFair({ results }: FairReport): void {
    for (const result of results) if (result.void === undefined) this.#fair.set(result.row.name, result);
  }

  #rowsOf(scenario: string): Map<string, Row> {
    const rows = this.#rows.get(scenario) ?? new Map<string, Row>();
    this.#rows.set(scenario, rows);
    return rows;
  }
}

function isFair(outcome: unknown): outcome is FairReport {
  return hasList(outcome, "results") && (outcome as { scenario?: unknown }).scenario === "fair";
}

function isReport(outcome: unknown): outcome is Report {
  return hasList(outcome, "rows") && "hosts" in (outcome as object);
}

function hasList(value: unknown, name: string): boolean {
  return (
    typeof value === "object" && value !== null && Array.isArray((value as Record<string, unknown>)[name])
  );
}
