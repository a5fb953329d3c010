import { createColors } from "picocolors";
import type { Progress } from "../../gen/packetboat/v1/transfer_pb.ts";
import { MAX_TIMER_MS } from "../../model/timer.ts";
import type { Shell } from "../context.ts";
import { columnsOf, isCapable, type Terminal, wantsColor } from "../terminal.ts";
import { frameLines, type Heading } from "./frame.ts";
import { LiveBlock } from "./live.ts";
import { plainLine } from "./plain.ts";

/** Shows how far a transfer is. Lines logged meanwhile appear in order with it. */
export interface ProgressDisplay {
  update(progress: Progress): void;
  /** Idempotent. */
  close(): void;
}

export interface DisplayOptions {
  readonly shell: Shell;
  readonly heading: Heading;
  /** Between lines where there is no terminal; 0: none. */
  readonly intervalSeconds: number;
  readonly quiet: boolean;
}

/** A live block on a terminal, a line now and then elsewhere, nothing when quiet. */
export function openDisplay(options: DisplayOptions): ProgressDisplay {
  const { terminal, log } = options.shell;
  if (options.quiet) return { update() {}, close() {} };
  if (isCapable(terminal.stderr, terminal.env) && log.format === "text")
    return liveDisplay(options, terminal);
  return plainDisplay(options);
}

/** The block moves on four times a second even without news: a stall must look like one. News redraw it at once. */
const REDRAW_MS = 250;

function liveDisplay({ shell, heading }: DisplayOptions, terminal: Terminal): ProgressDisplay {
  const block = new LiveBlock(terminal.stderr);
  const colors = createColors(wantsColor(terminal.stderr, terminal.env));
  const startedMs = performance.now();
  let progress: Progress | undefined;
  const draw = () => {
    const elapsedSeconds = (performance.now() - startedMs) / 1000;
    block.draw(
      frameLines({ heading, progress, elapsedSeconds, columns: columnsOf(terminal.stderr), colors }),
    );
  };
  const timer = setInterval(draw, REDRAW_MS);
  terminal.stderr.on("resize", draw);
  const restoreLog = shell.log.redirect((line) => block.above(line));
  draw();
  return {
    update(news) {
      progress = news;
      draw();
    },
    close() {
      clearInterval(timer);
      terminal.stderr.off("resize", draw);
      restoreLog();
      block.close();
    },
  };
}

/** The first line comes soon, to show that it runs. */
const FIRST_LINE_MS = 1000;

function plainDisplay({ shell, heading, intervalSeconds }: DisplayOptions): ProgressDisplay {
  let progress: Progress | undefined;
  const say = () => {
    if (!progress) return;
    const line = plainLine(heading, progress);
    if (shell.log.format === "json") shell.log.log("warn", line, { fields: { event: "progress" } });
    else shell.terminal.stderr.write(`${line}\n`);
  };
  if (intervalSeconds === 0) return { update() {}, close() {} };
  let repeat: NodeJS.Timeout | undefined;
  const first = setTimeout(() => {
    say();
    repeat = setInterval(say, Math.min(intervalSeconds * 1000, MAX_TIMER_MS));
  }, FIRST_LINE_MS);
  return {
    update(news) {
      progress = news;
    },
    close() {
      clearTimeout(first);
      clearInterval(repeat);
    },
  };
}
