import { readFileSync, writeFileSync } from "node:fs";
import { PbError } from "../model/error.ts";
import { EXIT } from "../model/exit.ts";
import { pathText } from "../model/path.ts";
import type { Globals } from "./globals.ts";
import { type Running, runCli } from "./run.ts";
import { askSecret } from "./secret-input.ts";
import { canAsk, type Terminal } from "./terminal.ts";

/** Put in by the bundler, from package.json. */
declare const __PB_VERSION__: string;

/** The first signal asks for a clean end (abort, or drain), the second ends at once. */
function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals) => {
    // A terminal that closes hangs up once more, also on those who are just ending cleanly.
    if (controller.signal.aborted && name !== "SIGHUP") process.exit(EXIT.interrupted);
    controller.abort(new PbError("aborted", "interrupted"));
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, stop);
  return controller.signal;
}

/** Node decodes arguments as UTF-8 and loses other bytes; the kernel has them. */
function readArguments(): string[] {
  const given = process.argv.slice(2);
  if (!given.some((word) => word.includes("\ufffd"))) return given;
  const raw = readFileSync("/proc/self/cmdline");
  const words: string[] = [];
  for (let at = 0; at < raw.length; ) {
    const end = raw.indexOf(0, at);
    words.push(pathText(raw.subarray(at, end)));
    at = end + 1;
  }
  return words.slice(-given.length);
}

/** Loaded only now: the daemon and all that it brings are not needed to show help. */
async function loadServices(globals: Globals): Promise<Running> {
  const { clientsOf, openDaemon, passphraseSource, refuseDumps } = await import("../daemon/daemon.ts");
  if (!wantsCores) refuseDumps();
  const { passwordCommand: command, passwordFd: fd, quiet } = globals;
  const ask = canAsk(terminal)
    ? (question: string) => askSecret({ terminal, signal }, question, "PB_CONFIG_PASS")
    : undefined;
  const { transport, close, ...rest } = openDaemon({
    version: __PB_VERSION__,
    passphrase: passphraseSource({ env: process.env, command, fd, ask }),
    warn: (text) => {
      if (!quiet) process.stderr.write(`pb: ${text}\n`);
    },
  });
  const { remotes, credentials, storeOf, server, doctor } = rest;
  return { ...clientsOf(transport), remotes, credentials, storeOf, server, doctor, close };
}

/**
 * What is in memory here (keys, passphrases, what they open) is not left in a file when a process crashes: of the memory of this process
 * and its children none goes into a core (core(5)). Registers do, which is why there is no core at all as soon as there is an engine
 * (`refuseDumps`), before any secret is read.
 */
function keepOutOfCores(): void {
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
  } catch {
    // A kernel without core dumps, or a /proc that cannot be written.
  }
}

/** Of who looks for a fault of the engine. */
const wantsCores = process.env.PB_FULL_CORE === "1";
if (!wantsCores) keepOutOfCores();
const terminal: Terminal = {
  // Made when it is asked for: that takes a millisecond, and a file that is read is opened anew.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
};
const signal = abortOnSignals();
// A process whose event loop runs dry before the command has said how it went has not done what it was asked: 0 would say so.
process.exitCode = EXIT.fatal;
for (const stream of [process.stdout, process.stderr]) {
  // A reader that went away is noticed where something is written.
  stream.on("error", () => undefined);
}

void runCli({
  args: readArguments(),
  terminal,
  cwd: process.cwd(),
  version: __PB_VERSION__,
  self: [process.execPath, process.argv[1] ?? ""],
  signal,
  loadServices,
}).then((code) => {
  // Whatever still holds the event loop (a socket that drains, a prompt's stream) has no say any more.
  process.stdout.write("", () => process.exit(code));
});
