import { type Command, Option } from "commander";
import { Overwrite, Resume, Transport } from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { MIN_MEMORY_BYTES } from "../model/transfer.ts";
import { parseAge, parseDuration } from "./words/duration.ts";
import { readFilesFrom } from "./words/files-from.ts";
import { parseChoice, parseCount, parseSwitch } from "./words/number.ts";
import { parseRate, parseSize, SIZE_HELP } from "./words/size.ts";

export interface FilterFlag {
  readonly include: boolean;
  readonly pattern: string;
}

/** What transfer and move take, as commander keeps it. */
export interface TransferFlags {
  readonly include?: readonly FilterFlag[];
  readonly exclude?: readonly FilterFlag[];
  readonly filesFrom?: string;
  readonly minSize?: number;
  readonly maxSize?: number;
  readonly minAge?: number;
  readonly maxAge?: number;
  readonly overwrite?: Overwrite;
  readonly transport?: Transport;
  readonly parallelFiles?: number;
  readonly lanes?: number;
  readonly chunk?: number;
  readonly limit?: number;
  readonly memory?: number;
  readonly seal?: boolean;
  readonly fsync?: boolean;
  readonly perms?: boolean;
  readonly owner?: boolean;
  readonly follow?: boolean;
  readonly controller?: "bbr" | "cubic" | "ledbat";
  readonly background?: boolean;
  readonly dryRun?: boolean;
  readonly manifest?: string;
  readonly receipt?: string;
  readonly trace?: string;
  readonly progressInterval?: number;
  readonly resume?: Resume;
  readonly detach?: boolean;
  readonly label?: string;
  readonly deadline?: number;
  readonly retries?: number;
  readonly keepHistory?: number;
  readonly discard?: boolean;
  readonly verify?: boolean;
  readonly on?: string;
}

const OVERWRITE = {
  always: Overwrite.ALWAYS,
  "if-newer": Overwrite.IF_NEWER,
  "if-different": Overwrite.IF_DIFFERENT,
  never: Overwrite.NEVER,
} as const;
const RESUME = { auto: Resume.AUTO, never: Resume.NEVER } as const;
const TRANSPORT = { auto: Transport.AUTO, udp: Transport.UDP, tcp: Transport.TCP } as const;

const SWITCH = ["on", "off"] as const;
const VERIFY = ["auto", "full"] as const;
const CONTROLLERS = ["bbr", "cubic", "ledbat"] as const;

const keys = <T extends object>(of: T) => Object.keys(of) as (keyof T & string)[];

/** Adds the options that transfer and move share. */
export function addTransferOptions(command: Command): Command {
  for (const option of whatOptions()) command.addOption(option.helpGroup("What is transferred:"));
  for (const option of howOptions()) command.addOption(option.helpGroup("How it is written:"));
  for (const option of wireOptions()) command.addOption(option.helpGroup("How it travels:"));
  command.addOption(resumeOption().helpGroup(JOB_GROUP));
  for (const option of jobOptions()) command.addOption(option.helpGroup(JOB_GROUP));
  // Hands that know cp write -r; folders go whole anyway.
  for (const flag of ["-r, --recursive", "-R"]) command.addOption(new Option(flag).hideHelp());
  return command.addHelpText(
    "after",
    `\n${SIZE_HELP}.\nRATE: as SIZE, a second (100M, 100MB/s), or bits, powers of 1000 (1Gbit, 100Mbps); off: no limit.\nAGE: 90s, 10m, 1h30m, 2d, 1w, 1M, 1y, or a date (2026-01-31).\nGLOB: without a slash it matches names at any depth, with one the path below the source; ** crosses folders.`,
  );
}

/** Of transfer and move. */
export function onOption(): Option {
  return new Option(
    "--on <remote>",
    "let this server do it: places are as it knows them, its own remotes too; no data passes here",
  )
    .argParser((text) => text.replace(/:\/?$/, ""))
    .helpGroup("How it travels:");
}

/** Of transfer alone: a move removes what it sent. */
export function discardOption(): Option {
  return new Option(
    "--discard",
    "verify everything at the destination and write nothing: measures the way without its disk",
  ).helpGroup("How it is written:");
}

/** --include and --exclude fill one list: the order on the line decides. */
function filterOptions(): Option[] {
  const rules: FilterFlag[] = [];
  const add = (include: boolean) => (pattern: string) => {
    if (pattern === "")
      throw new PbError("usage", `${include ? "--include" : "--exclude"}: an empty pattern`);
    rules.push({ include, pattern });
    return rules;
  };
  return [
    new Option(
      "--include <glob>",
      "take what matches; with --exclude: in the order given, the first match decides",
    ).argParser(add(true)),
    new Option("--exclude <glob>", "leave out what matches, folders with all that is below").argParser(
      add(false),
    ),
  ];
}

function whatOptions(): Option[] {
  const now = Date.now();
  const size = (flag: string) => (text: string) => parseSize(text, flag);
  const age = (flag: string) => (text: string) => parseAge(text, flag, now);
  return [
    ...filterOptions(),
    new Option(
      "--files-from <file>",
      "only these paths below the source, one a line or NUL-separated; -: standard input",
    ),
    new Option("--min-size <size>", "only files of at least this size").argParser(size("--min-size")),
    new Option("--max-size <size>", "only files of at most this size").argParser(size("--max-size")),
    new Option("--min-age <age>", "only files last changed at least so long ago").argParser(age("--min-age")),
    new Option("--max-age <age>", "only files last changed at most so long ago").argParser(age("--max-age")),
    new Option("-L, --follow", "copy what links point to instead of the links"),
    new Option("-n, --dry-run", "list what would be done; write nothing"),
  ];
}

function howOptions(): Option[] {
  return [
    new Option("--overwrite <when>", "default: if-different (in size or time)")
      .choices(keys(OVERWRITE))
      .argParser((text) => OVERWRITE[parseChoice(text, "--overwrite", keys(OVERWRITE))]),
    new Option("--perms", "keep permission bits; the default"),
    new Option("--no-perms", "new files get the default mode of the place"),
    new Option("--owner", "keep user and group ids, where the receiver may set them"),
    new Option("--fsync <on|off>", "off does not wait until files are on disk: a power cut may take them")
      .choices(SWITCH)
      .argParser((text) => parseSwitch(text, "--fsync")),
    new Option(
      "--verify <how>",
      "full reads everything again at the destination and compares; default: auto (hashes on the way, and what the place says)",
    )
      .choices(VERIFY)
      .argParser((text) => parseChoice(text, "--verify", VERIFY) === "full"),
    new Option("--manifest <file>", "write a line of JSON for each file: path, size, BLAKE3"),
    new Option("--receipt <file>", "write the receipt to a file, as JSON"),
  ];
}

function wireOptions(): Option[] {
  const count = (flag: string, max: number) => (text: string) => parseCount(text, flag, { min: 1, max });
  return [
    new Option("--transport <how>", "default: auto (UDP where it passes)")
      .choices(keys(TRANSPORT))
      .argParser((text) => TRANSPORT[parseChoice(text, "--transport", keys(TRANSPORT))]),
    new Option("--seal <on|off>", "off sends data in clear, still verified: for private wires")
      .choices(SWITCH)
      .argParser((text) => parseSwitch(text, "--seal")),
    new Option("--limit <rate>", "at most so many bytes a second").argParser((text) =>
      parseRate(text, "--limit"),
    ),
    new Option("--parallel-files <n>", "files in flight; default: chosen").argParser(
      count("--parallel-files", 65_536),
    ),
    new Option("--lanes <n>", "sockets in parallel; default: chosen").argParser(count("--lanes", 64)),
    new Option("--chunk <size>", "64K to 1M, a power of two; default: chosen").argParser(parseChunk),
    new Option("--memory <size>", "buffers on each side; default: 256M").argParser(parseMemory),
    new Option("--controller <name>", "congestion control; default: chosen")
      .choices(CONTROLLERS)
      .argParser((text) => parseChoice(text, "--controller", CONTROLLERS)),
    new Option("--background", "give way to everybody else (--controller ledbat); over UDP only"),
    new Option("--trace <file>", "write what the path and the engine go through, for pb trace FILE"),
    new Option(
      "--progress-interval <time>",
      "between lines where there is no terminal; 0: none; default: 60s",
    ).argParser((text) => parseDuration(text, "--progress-interval")),
  ];
}

export const JOB_GROUP = "As a job (pb jobs):";
/** As many as a person may mean; beyond it a run is not bounded by its attempts. */
const MAX_RETRIES = 1_000_000;
/** A label is a column of a list. */
const MAX_LABEL = 200;

function resumeOption(): Option {
  return new Option("--resume <how>", "auto goes on with what is unfinished of this transfer; default: auto")
    .choices(keys(RESUME))
    .argParser((text) => RESUME[parseChoice(text, "--resume", keys(RESUME))]);
}

/** What a run of a job takes; pb jobs resume, too. */
export function jobOptions(): Option[] {
  return [
    new Option("--detach", "leave it to a process of its own; prints the job's id"),
    new Option("--label <text>", "a name for lists of jobs").argParser(parseLabel),
    new Option("--deadline <time>", "end the run after this, done or not").argParser((text) =>
      parseDuration(text, "--deadline"),
    ),
    new Option(
      "--retries <n>",
      "attempts in a row without progress; default: 60, once it has begun",
    ).argParser((text) => parseCount(text, "--retries", { min: 0, max: MAX_RETRIES })),
    new Option("--keep-history <time>", "forget jobs that ended longer ago; default: 30d").argParser((text) =>
      parseDuration(text, "--keep-history"),
    ),
  ];
}

function parseLabel(text: string): string {
  if (text !== "" && text.length <= MAX_LABEL) return text;
  throw new PbError("usage", `--label: give a text of 1 to ${MAX_LABEL} characters`, { peer: "--label" });
}

function parseChunk(text: string): number {
  const bytes = parseSize(text, "--chunk");
  if (bytes >= 65_536 && bytes <= 1_048_576 && Number.isInteger(Math.log2(bytes))) return bytes;
  throw new PbError("usage", `--chunk: ${text} is none of 64K, 128K, 256K, 512K, 1M`, { peer: "--chunk" });
}

function parseMemory(text: string): number {
  const bytes = parseSize(text, "--memory");
  if (bytes >= MIN_MEMORY_BYTES) return bytes;
  throw new PbError("usage", `--memory: ${text} is too little; give at least 8M`, { peer: "--memory" });
}

/** The message that the service takes; what was not said is left to its defaults. */
export function protoOptions(flags: TransferFlags) {
  if (flags.minSize !== undefined && flags.maxSize !== undefined && flags.minSize > flags.maxSize) {
    throw new PbError("usage", "--min-size is larger than --max-size: nothing can match");
  }
  if (flags.minAge !== undefined && flags.maxAge !== undefined && flags.minAge > flags.maxAge) {
    throw new PbError("usage", "--min-age is more than --max-age: nothing can match");
  }
  return {
    filters: (flags.include ?? flags.exclude ?? []).map(({ include, pattern }) => ({ include, pattern })),
    filesFrom: flags.filesFrom === undefined ? [] : readFilesFrom(flags.filesFrom, "--files-from"),
    ...(flags.minSize !== undefined && { minSize: BigInt(flags.minSize) }),
    ...(flags.maxSize !== undefined && { maxSize: BigInt(flags.maxSize) }),
    ...(flags.minAge !== undefined && { minAge: BigInt(flags.minAge) }),
    ...(flags.maxAge !== undefined && { maxAge: BigInt(flags.maxAge) }),
    overwrite: flags.overwrite ?? Overwrite.IF_DIFFERENT,
    follow: flags.follow === true,
    permsOff: flags.perms === false,
    owner: flags.owner === true,
    fsyncOff: flags.fsync === false,
    discard: flags.discard === true,
    reread: flags.verify === true,
    ...wireFields(flags),
  };
}

/** LEDBAT++ for what runs in the background. The kernel's TCP does not yield, so TCP lanes are refused there. */
function controllerFor({ background, controller, transport }: TransferFlags) {
  if (background !== true) return controller ?? "";
  if (controller !== undefined && controller !== "ledbat") {
    throw new PbError("usage", `--background: does not go with --controller ${controller}`);
  }
  if (transport === Transport.TCP) {
    throw new PbError("usage", "--background: TCP lanes do not yield; leave out --transport tcp");
  }
  return "ledbat";
}

function wireFields(flags: TransferFlags) {
  return {
    transport: flags.transport ?? Transport.AUTO,
    sealOff: flags.seal === false,
    limitBytesPerSecond: BigInt(flags.limit ?? 0),
    parallelFiles: flags.parallelFiles ?? 0,
    lanes: flags.lanes ?? 0,
    chunkBytes: flags.chunk ?? 0,
    memoryBytes: BigInt(flags.memory ?? 0),
    controller: controllerFor(flags),
  };
}
