import type { Check } from "../../model/actions.ts";
import { EXIT, type ExitCode, exitCodeOf, worstExit } from "../../model/exit.ts";
import { displayPath } from "../../model/path.ts";
import type { Shell } from "../context.ts";
import type { Colors } from "../output.ts";
import { padEnd } from "./text.ts";
import { plural } from "./units.ts";

/** As wide as "skipped". */
const STATUS_COLUMNS = 7;
const NAME_COLUMNS = 18;

/** Shows each check as it is known, then how many of each there were; the worst of those that failed makes the exit code. */
export async function showChecks(shell: Shell, checks: AsyncIterable<Check>): Promise<void> {
  const { out, log } = shell;
  const rows = out.rows<Check>({
    record: (check) => check,
    text: (check) => checkText(check, out.colors),
  });
  const counts = { ok: 0, warn: 0, fail: 0, skipped: 0 };
  let exit: ExitCode = EXIT.ok;
  for await (const check of checks) {
    counts[check.status] += 1;
    if (check.status === "fail")
      exit = worstExit([exit, check.code === undefined ? EXIT.general : exitCodeOf(check.code)]);
    await rows.push([check]);
  }
  await rows.end();
  shell.setExitCode(exit);
  if (out.machine) return;
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  log.log("warn", `${counts.ok} ok, ${plural(counts.warn, "warning")}, ${counts.fail} failed${skipped}`);
}

function checkText({ name, status, detail, fix }: Check, colors: Colors): string {
  const paint = { ok: colors.green, warn: colors.yellow, fail: colors.red, skipped: colors.dim }[status];
  const line = `${paint(padEnd(status, STATUS_COLUMNS))}  ${padEnd(name, NAME_COLUMNS)}  ${displayPath(detail)}`;
  const indent = " ".repeat(STATUS_COLUMNS + NAME_COLUMNS + 4);
  return fix === undefined ? line : `${line}\n${indent}${colors.bold("do:")} ${displayPath(fix)}`;
}
