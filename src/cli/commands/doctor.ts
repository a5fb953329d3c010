import { Command } from "commander";
import type { Check } from "../../model/actions.ts";
import { EXIT } from "../../model/exit.ts";
import { displayPath } from "../../model/path.ts";
import type { CommandHost } from "../context.ts";
import type { Colors } from "../output.ts";
import { padEnd } from "../render/text.ts";
import { plural } from "../render/units.ts";

export function doctorCommand(host: CommandHost): Command {
  return new Command("doctor")
    .summary("check this machine, and the way to a remote")
    .description(
      "Checks this machine, and with a remote's name the way there. Says for each what to do about it.",
    )
    .argument("[remote]", "a remote's name, or host:port of one")
    .action(async (remote: string | undefined, _flags: object, command: Command) => {
      const { doctor, signal, out, log, setExitCode } = await host.context(command);
      const rows = out.rows<Check>({
        record: (check) => check,
        text: (check) => checkText(check, out.colors),
      });
      const counts = { ok: 0, warn: 0, fail: 0, skipped: 0 };
      for await (const check of doctor.check({
        signal,
        ...(remote && { remote: remote.replace(/:\/?$/, "") }),
      })) {
        counts[check.status] += 1;
        await rows.push([check]);
      }
      await rows.end();
      if (counts.fail > 0) setExitCode(EXIT.general);
      if (out.machine) return;
      const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
      log.log("warn", `${counts.ok} ok, ${plural(counts.warn, "warning")}, ${counts.fail} failed${skipped}`);
    });
}

/** As wide as "skipped". */
const STATUS_COLUMNS = 7;
const NAME_COLUMNS = 18;

function checkText({ name, status, detail, fix }: Check, colors: Colors): string {
  const paint = { ok: colors.green, warn: colors.yellow, fail: colors.red, skipped: colors.dim }[status];
  const line = `${paint(padEnd(status, STATUS_COLUMNS))}  ${padEnd(name, NAME_COLUMNS)}  ${displayPath(detail)}`;
  const indent = " ".repeat(STATUS_COLUMNS + NAME_COLUMNS + 4);
  return fix === undefined ? line : `${line}\n${indent}${colors.bold("do:")} ${displayPath(fix)}`;
}
