import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { PbError } from "../../model/error.ts";
import type { CommandHost } from "../context.ts";
import { columnsOf } from "../terminal.ts";
import { type Chart, chartOf } from "../trace/chart.ts";
import { readTrace } from "../trace/read.ts";
import { drawSvg, SVG_COLUMNS } from "../trace/svg.ts";
import { dotsOf, drawTerminal } from "../trace/terminal-chart.ts";
import { parseCount } from "../words/number.ts";

/** Narrower a label and a few columns do not fit; wider than any terminal. */
const WIDTHS = { min: 40, max: 500 };
/** A chart as wide as a large screen is not better to read. */
const WIDEST = 120;

interface TraceFlags {
  readonly svg?: string;
  readonly width?: number;
}

export function traceCommand(host: CommandHost): Command {
  return new Command("trace")
    .summary("draw what a transfer's path went through")
    .description(
      "Draws rate, round trip, window and loss over time from a file of pb transfer --trace, or of another program's qlog (JSON text sequences), and says what limited the transfer.",
    )
    .argument("<file>", "a trace")
    .option("--svg <out>", "write the drawing as SVG, too")
    .addOption(
      new Option("--width <columns>", "default: the terminal's, at most 120").argParser((text) =>
        parseCount(text, "--width", WIDTHS),
      ),
    )
    .action(async (word: string, flags: TraceFlags, command: Command) => {
      const { out, terminal, cwd } = host.shell(command);
      const trace = await readTrace(resolve(cwd, word));
      const width = flags.width ?? Math.max(WIDTHS.min, Math.min(WIDEST, columnsOf(terminal.stdout)));
      const chart = chartOf(trace, dotsOf(width), word);
      if (flags.svg !== undefined) {
        await writeSvg(resolve(cwd, flags.svg), drawSvg(chartOf(trace, SVG_COLUMNS, word)));
      }
      await out.record(
        summary(chart),
        out.machine ? "" : drawTerminal(chart, { width, colors: out.colors }).join("\n"),
      );
    });
}

async function writeSvg(path: string, svg: string): Promise<void> {
  try {
    await writeFile(path, svg);
  } catch (cause) {
    throw new PbError("io_error", `--svg: cannot write ${path}: ${(cause as Error).message}`, {
      path,
      cause,
    });
  }
}

/** For programs. */
function summary({ title, seconds, minRttMs, totals }: Chart): Record<string, unknown> {
  const { limits, ...counts } = totals;
  return {
    title,
    seconds,
    minRttMs,
    ...counts,
    limitedBy: Object.fromEntries(limits.map(({ by, share }) => [by, share])),
  };
}
