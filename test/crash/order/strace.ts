/** Reads what `strace -f -yy -xx` wrote. */

export interface Call {
  readonly thread: number;
  readonly name: string;
  /** As printed, between the parentheses. */
  readonly args: string;
  /** The number it returned, or -1; NaN when it never returned. */
  readonly result: number;
  /** strace answered in the kernel's place (`inject=…:retval=`): it never happened. */
  readonly injected: boolean;
  /** Lines of the log at which it began and ended. Calls of two threads overlap when neither ended before the other began. */
  readonly began: number;
  readonly ended: number;
}

const WHOLE = /^(\d+)\s+(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)(.*)$/;
const BEGUN = /^(\d+)\s+(\w+)\((.*?),? ?<unfinished \.\.\.>$/;
const RESUMED = /^(\d+)\s+<\.\.\. (\w+) resumed>(.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)(.*)$/;

/** In the order in which they began. Signals, exits and what cannot be read are passed over. */
export function parseStrace(log: string): Call[] {
  const calls: Call[] = [];
  const open = new Map<string, { readonly name: string; readonly args: string; readonly began: number }>();
  for (const [at, line] of log.split("\n").entries()) {
    const whole = WHOLE.exec(line);
    if (whole !== null) {
      const [, thread = "", name = "", args = "", result = "", rest = ""] = whole;
      calls.push(finish({ name, args, began: at }, { thread, result, rest, ended: at }));
      continue;
    }
    const begun = BEGUN.exec(line);
    if (begun !== null) {
      const [, thread = "", name = "", args = ""] = begun;
      open.set(thread, { name, args, began: at });
      continue;
    }
    const resumed = RESUMED.exec(line);
    if (resumed === null) continue;
    const [, thread = "", name = "", more = "", result = "", rest = ""] = resumed;
    const start = open.get(thread);
    open.delete(thread);
    if (start?.name !== name) continue;
    calls.push(finish({ ...start, args: start.args + more }, { thread, result, rest, ended: at }));
  }
  for (const [thread, start] of open) {
    calls.push(finish(start, { thread, result: "?", rest: "", ended: Number.POSITIVE_INFINITY }));
  }
  return calls.sort((a, b) => a.began - b.began);
}

function finish(
  start: { readonly name: string; readonly args: string; readonly began: number },
  end: { readonly thread: string; readonly result: string; readonly rest: string; readonly ended: number },
): Call {
  return {
    ...start,
    thread: Number(end.thread),
    result: Number(end.result),
    injected: end.rest.includes("(INJECTED)"),
    ended: end.ended,
  };
}

/** What a call's first argument is, with -yy: the path, or the socket, of a descriptor; undefined for anything else. */
export function descriptorOf({ args }: Call): string | undefined {
  const found = /^(?:AT_FDCWD|\d+)<((?:->|[^>])*)>/.exec(args)?.[1];
  return found === undefined ? undefined : unescapeText(found);
}

/** Paths in a call's arguments, each resolved against the descriptor before it. */
export function pathsOf({ args }: Call): string[] {
  const paths: string[] = [];
  for (const [, folder, path = ""] of args.matchAll(/(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"/g)) {
    const name = unescapeText(path);
    paths.push(folder === undefined || name.startsWith("/") ? name : `${unescapeText(folder)}/${name}`);
  }
  return paths;
}

/** The bytes of a call's first buffer, as hexadecimal digits; those that strace printed (-s). */
export function bufferOf({ args }: Call): string {
  const text = /"((?:\\x[0-9a-f]{2})*)"/.exec(args)?.[1] ?? "";
  return text.replaceAll("\\x", "");
}

/** `-xx` prints paths, too, as `\x2f\x74…`. */
function unescapeText(text: string): string {
  const bytes = text.replace(/\\x([0-9a-f]{2})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}
