import type { Readable, Writable } from "node:stream";

type Screen = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** The standard streams and the environment; tests give their own. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Screen;
  readonly stderr: Screen;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** 80, what a terminal has that does not say. */
const DEFAULT_COLUMNS = 80;
/** Narrower than this a line of numbers cannot be read anyway. */
const MIN_COLUMNS = 20;

/** Columns of a stream now. */
export function columnsOf(screen: Screen): number {
  return Math.max(MIN_COLUMNS, screen.columns || DEFAULT_COLUMNS);
}

/** May escape sequences be sent to this stream? */
export function isCapable(screen: Screen, env: Terminal["env"]): boolean {
  return screen.isTTY === true && env.TERM !== "dumb";
}

/** NO_COLOR (no-color.org) wins over FORCE_COLOR, that over what the stream is. */
export function wantsColor(screen: Screen, env: Terminal["env"]): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "") return env.FORCE_COLOR !== "0";
  return isCapable(screen, env);
}

/** Can a person be asked? */
export function canAsk(terminal: Terminal): boolean {
  // Standard input last: it is made when it is asked for.
  const { stderr, env } = terminal;
  return stderr.isTTY === true && env.TERM !== "dumb" && terminal.stdin.isTTY === true;
}
