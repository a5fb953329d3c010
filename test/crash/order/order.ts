/**
 * The order in which a receiver makes a file durable, asserted from a trace:
 * data write(s) < sync of the file < rename to the final name < sync of the folder < journal write < sync of the journal
 * < the result on the sender's socket < the sender removes its source (in a move).
 */
import { basename, dirname } from "node:path";
import { bufferOf, type Call, descriptorOf, pathsOf } from "./strace.ts";

export interface Expected {
  /** Final path. */
  readonly target: string;
  /** Its BLAKE3, hexadecimal: by it the record in the journal is known. */
  readonly hash: string;
  /** Sync of a whole file system counts for all that is below this. */
  readonly fileSystem: string;
  /** The receiver's own address, HOST:PORT. Absent: nobody is told over a socket (a local copy). */
  readonly receiver?: string;
  /** In a move: the path that the sender removes in the end. */
  readonly source?: string;
}

/** One of the steps, and the call that took it. */
export interface Step {
  readonly name: StepName;
  readonly call: Call;
}

export const STEPS = [
  "data",
  "sync of the file",
  "rename",
  "sync of the folder",
  "journal",
  "sync of the journal",
  "result",
  "removal of the source",
] as const;
export type StepName = (typeof STEPS)[number];

const WRITES = new Set(["write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range"]);
const SYNCS = new Set(["fsync", "fdatasync"]);
const RENAMES = new Set(["rename", "renameat", "renameat2"]);
const SENDS = new Set(["sendto", "sendmsg", "sendmmsg", "write", "writev"]);
const REMOVALS = new Set(["unlink", "unlinkat"]);
const JOURNAL = /^journal-\d+$/;

export interface Verdict {
  /** What is missing or out of order; empty: all is well. */
  readonly problems: readonly string[];
  /** The steps that were found, in their order. */
  readonly steps: readonly Step[];
}

/** Of calls that really happened and succeeded alone; each step must have ended before the next one began. */
export function checkOrder(trace: readonly Call[], expected: Expected): Verdict {
  const calls = trace.filter(({ result, injected }) => result >= 0 && !injected);
  const steps: Step[] = [];
  const fail = (problem: string): Verdict => ({ problems: [`${expected.target}: ${problem}`], steps });
  const rename = calls.find((call) => RENAMES.has(call.name) && pathsOf(call)[1] === expected.target);
  const part = rename && pathsOf(rename)[0];
  if (rename === undefined || part === undefined) return fail("nothing was renamed to it");
  const data = calls.filter((call) => WRITES.has(call.name) && descriptorOf(call) === part).at(-1);
  if (data === undefined) return fail("nothing was written to the part");
  steps.push({ name: "data", call: data });
  // Each further step is the first call of its kind that began after the one before it ended, and in time for what comes behind.
  const search: Search = { calls, expected, steps, part, rename };
  for (const [name, matches, before] of plan(search)) {
    const after = steps.at(-1)?.call.ended ?? 0;
    const found = calls.find((call) => call.began > after && matches(call));
    if (found === undefined) return fail(`no ${name} after the ${steps.at(-1)?.name}`);
    if (before !== undefined && found.ended >= before.began) return fail(`${name} not before the ${RENAME}`);
    steps.push({ name, call: found });
  }
  return { problems: [...early(search), ...resultBeforeRemoval(search)], steps };
}

const RENAME: StepName = "rename";

interface Search {
  readonly calls: readonly Call[];
  readonly expected: Expected;
  readonly steps: readonly Step[];
  readonly part: string;
  readonly rename: Call;
}

type Wanted = readonly [name: StepName, matches: (call: Call) => boolean, before?: Call];

function plan({ expected, part, rename }: Search): Wanted[] {
  const synced = (call: Call, path: string) =>
    (SYNCS.has(call.name) && descriptorOf(call) === path) ||
    (call.name === "syncfs" && (descriptorOf(call) ?? "").startsWith(expected.fileSystem));
  const journal = (call: Call) => JOURNAL.test(basename(descriptorOf(call) ?? ""));
  const wanted: Wanted[] = [
    ["sync of the file", (call) => synced(call, part), rename],
    ["rename", (call) => call === rename],
    ["sync of the folder", (call) => synced(call, dirname(expected.target))],
    ["journal", (call) => recordOf(call, expected)],
    ["sync of the journal", (call) => SYNCS.has(call.name) && journal(call)],
  ];
  const { receiver, source } = expected;
  if (receiver !== undefined) wanted.push(["result", (call) => isSend(call, receiver)]);
  if (source !== undefined) {
    wanted.push(["removal of the source", (call) => REMOVALS.has(call.name) && pathsOf(call)[0] === source]);
  }
  return wanted;
}

function recordOf(call: Call, { hash }: Expected): boolean {
  return (
    WRITES.has(call.name) && JOURNAL.test(basename(descriptorOf(call) ?? "")) && bufferOf(call).includes(hash)
  );
}

/** With -yy a socket is `UDP:[its address]` or `TCP:[its address->the other's]`. */
function isSend(call: Call, from: string): boolean {
  return SENDS.has(call.name) && /^(TCP|UDP)/.test(descriptorOf(call) ?? "") && local(call) === from;
}

function local(call: Call): string | undefined {
  return /\[([^\]>]*?)(->|\]$)/.exec(descriptorOf(call) ?? "")?.[1];
}

/** The journal must not know the file as finished before it is. */
function early({ calls, expected, steps }: Search): string[] {
  const folder = steps.find(({ name }) => name === "sync of the folder")?.call;
  const record = calls.find((call) => recordOf(call, expected));
  if (folder === undefined || record === undefined || record.began > folder.ended) return [];
  return [`${expected.target}: the journal says done before the folder was synced`];
}

/** The source went once only, after everything. */
function resultBeforeRemoval({ calls, expected, steps }: Search): string[] {
  const { source } = expected;
  if (source === undefined) return [];
  const removal = steps.find(({ name }) => name === "removal of the source")?.call;
  const first = calls.find((call) => REMOVALS.has(call.name) && pathsOf(call)[0] === source);
  return first === removal ? [] : [`${source}: removed before the result`];
}
