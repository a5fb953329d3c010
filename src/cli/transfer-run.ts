import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createColors } from "picocolors";
import type {
  PlannedAction,
  Progress,
  Receipt,
  StartRequestSchema,
  StartResponse,
} from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { EXIT, exitCodeOf } from "../model/exit.ts";
import { displayPath, pathText } from "../model/path.ts";
import type { CliContext } from "./context.ts";
import { ReaderGone, type Rows } from "./output.ts";
import { openDisplay } from "./render/progress.ts";
import {
  errorInfoRecord,
  errorRecord,
  noticeRecord,
  plannedRecord,
  receiptRecord,
} from "./render/receipt.ts";
import { summaryLines } from "./render/summary.ts";
import { formatBytes } from "./render/units.ts";
import { errorText } from "./report.ts";
import { errorFromInfo, toPbError } from "./rpc-error.ts";
import { columnsOf, wantsColor } from "./terminal.ts";
import { protoOptions, type TransferFlags } from "./transfer-options.ts";
import { formatPlace, type Place, protoLocation, shortPlace } from "./words/place.ts";

/** A transfer as the words of the command line say it. */
export interface Wanted {
  readonly sources: readonly Place[] | "-";
  readonly destination: Place | "-";
  /** Each source arrives under its own name. */
  readonly several: boolean;
  readonly move: boolean;
  readonly flags: TransferFlags;
}

/** Between progress lines where there is no terminal: one a minute keeps a log readable. */
const DEFAULT_INTERVAL_SECONDS = 60;
const STDIN = 0;
const STDOUT = 1;

/** Asks for the transfer, shows how it goes, prints its receipt, sets the exit code. */
export async function runTransfer(context: CliContext, wanted: Wanted): Promise<void> {
  const { out, log, flags } = { ...context, flags: wanted.flags };
  if (wanted.destination === "-" && out.machine) {
    throw new PbError(
      "usage",
      `-o ${out.format} prints on standard output, which carries the data; use --receipt FILE`,
    );
  }
  const request = startRequest(wanted, context.cwd);
  const ends = describeEnds(wanted, (place) => displayPath(shortPlace(place, context.cwd)));
  const heading = { ...ends, sealed: flags.seal !== false };
  const quiet = !log.isEnabled("warn") || flags.dryRun === true;
  const intervalSeconds = flags.progressInterval ?? DEFAULT_INTERVAL_SECONDS;
  const display = openDisplay({ shell: context, heading, intervalSeconds, quiet });
  const run = new Run(context, flags);
  let failure: PbError | undefined;
  try {
    for await (const response of context.transfers.start(request, { signal: context.signal })) {
      const news = await run.take(response);
      if (news) display.update(news);
    }
  } catch (error) {
    if (error instanceof ReaderGone) throw error;
    failure = toPbError(error);
  } finally {
    display.close();
  }
  await finish({ context, run, wanted, failure });
}

function startRequest(wanted: Wanted, cwd: string): MessageInitShape<typeof StartRequestSchema> {
  const { sources, destination, flags } = wanted;
  return {
    sources: sources === "-" ? [] : sources.map(protoLocation),
    ...(destination !== "-" && { destination: protoLocation(destination) }),
    options: protoOptions(flags),
    move: wanted.move,
    dryRun: flags.dryRun === true,
    several: wanted.several,
    ...(sources === "-" && { sourceFd: STDIN }),
    ...(destination === "-" && { destinationFd: STDOUT }),
    manifestFile: flags.manifest === undefined ? "" : resolve(cwd, flags.manifest),
    traceFile: flags.trace === undefined ? "" : resolve(cwd, flags.trace),
  };
}

/** Both ends in words; `name` writes a place. */
function describeEnds({ sources, destination }: Wanted, name: (place: Place) => string) {
  return {
    source: sources === "-" ? "standard input" : describeSources(sources, name),
    destination: destination === "-" ? "standard output" : name(destination),
  };
}

function describeSources(sources: readonly Place[], name: (place: Place) => string): string {
  const [first] = sources;
  const text = first ? name(first) : "";
  return sources.length > 1 ? `${text} and ${sources.length - 1} more` : text;
}

/** What has been heard of a transfer. */
class Run {
  receipt: Receipt | undefined;
  progress: Progress | undefined;
  readonly planned: PlannedAction[] = [];
  readonly dryRun: boolean;
  readonly flags: TransferFlags;
  /** For the summary: what was asked for that has a price. */
  readonly notes: readonly string[];
  readonly #context: CliContext;
  readonly #plan: Rows<PlannedAction>;

  constructor(context: CliContext, flags: TransferFlags) {
    this.#context = context;
    this.dryRun = flags.dryRun === true;
    this.flags = flags;
    this.notes = flags.fsync === false ? ["fsync off: a power cut may take what was just written"] : [];
    this.#plan = context.out.rows<PlannedAction>({
      record: (action) => ({ event: "planned", ...plannedRecord(action) }),
      text: plannedText,
    });
  }

  /** Gives progress to show. */
  async take({ event }: StartResponse): Promise<Progress | undefined> {
    const { out, log } = this.#context;
    if (event.case === "receipt") this.receipt = event.value;
    if (event.case === "planned") await this.#takePlanned(event.value);
    if (event.case === "notice") {
      const { code, message } = event.value;
      log.log("warn", displayPath(message), { fields: { notice: code } });
      await this.#line({ event: "notice", ...noticeRecord(event.value) });
    }
    if (event.case === "error") {
      const error = errorFromInfo(event.value);
      log.log("error", `pb: ${errorText(error)}`, { fields: { code: error.code, path: error.path } });
      await this.#line({ event: "error", ...errorInfoRecord(event.value) });
    }
    if (event.case !== "progress") return undefined;
    this.progress = event.value;
    if (out.format === "jsonl") await this.#line({ event: "progress", ...progressRecord(event.value) });
    return event.value;
  }

  async #takePlanned(action: PlannedAction): Promise<void> {
    const { format } = this.#context.out;
    if (format === "table" || format === "jsonl") await this.#plan.push([action]);
    else this.planned.push(action);
  }

  async #line(value: object): Promise<void> {
    if (this.#context.out.format === "jsonl") await this.#context.out.record(value, "");
  }
}

function plannedText({ action, path, size, reason }: PlannedAction): string {
  const bytes = action === "copy" ? `  ${formatBytes(Number(size))}` : "";
  return `${action.padEnd(14)}${displayPath(pathText(path))}${bytes}${reason === "" ? "" : `  (${displayPath(reason)})`}`;
}

function progressRecord(progress: Progress): Record<string, unknown> {
  return {
    bytes: Number(progress.bytes),
    totalBytes: Number(progress.totalBytes),
    files: Number(progress.files),
    totalFiles: Number(progress.totalFiles),
    listingDone: progress.listingDone,
    skippedFiles: Number(progress.skippedFiles),
    errors: Number(progress.errors),
    bytesPerSecond: Number(progress.bytesPerSecond),
    seconds: progress.seconds,
    transport: progress.transport,
    limitedBy: progress.limitedBy,
    rttMs: Number(progress.rttNs) / 1e6,
    minRttMs: Number(progress.minRttNs) / 1e6,
    lossRate: progress.lossRate,
  };
}

const NO_RECEIPT = new PbError("protocol_violation", "the transfer ended without a receipt");

interface Finish {
  readonly context: CliContext;
  readonly run: Run;
  readonly wanted: Wanted;
  readonly failure: PbError | undefined;
}

async function finish({ context, run, wanted, failure }: Finish): Promise<void> {
  const { out, setExitCode } = context;
  const { receipt } = run;
  const record = receipt ? receiptRecord(receipt) : failedRecord(run, wanted, failure ?? NO_RECEIPT);
  writeReceipt(run.flags, context.cwd, record);
  if (out.machine) {
    const planned = run.dryRun && out.format !== "jsonl" ? { planned: run.planned.map(plannedRecord) } : {};
    await out.record(eventRecord(out.format, { ...record, ...planned }), "");
  }
  if (!receipt) throw failure ?? NO_RECEIPT;
  sayReceipt(context, run, receipt);
  if (receipt.state !== "done") setExitCode(exitCodeOfReceipt(receipt));
  if (failure) throw failure;
}

/** To the file of --receipt, if there is one. */
export function writeReceipt(flags: TransferFlags, cwd: string, record: Record<string, unknown>): void {
  if (flags.receipt === undefined) return;
  const file = resolve(cwd, flags.receipt);
  try {
    writeFileSync(file, `${JSON.stringify(record)}\n`);
  } catch (cause) {
    throw new PbError("io_error", `--receipt: cannot write ${file}: ${(cause as Error).message}`, {
      path: file,
      cause,
    });
  }
}

function eventRecord(format: string, record: Record<string, unknown>): Record<string, unknown> {
  return format === "jsonl" ? { event: "receipt", ...record } : record;
}

function sayReceipt({ terminal, log, out }: CliContext, run: Run, receipt: Receipt): void {
  if (!log.isEnabled("warn") || run.dryRun) return;
  if (log.format === "json") {
    log.log("warn", `transfer ${receipt.state}`, { fields: { receipt: receiptRecord(receipt) } });
    return;
  }
  // The receipt on standard output says it all, unless a person watches.
  if (out.machine && terminal.stderr.isTTY !== true) return;
  const colors = createColors(wantsColor(terminal.stderr, terminal.env));
  const lines = summaryLines(receipt, { columns: columnsOf(terminal.stderr), colors, notes: run.notes });
  terminal.stderr.write(lines.map((line) => `${line}\n`).join(""));
}

/** Partial is partial; a failure has the code of its first error. */
export function exitCodeOfReceipt({ state, errors }: Receipt) {
  if (state === "partial") return EXIT.partial;
  if (state === "aborted") return EXIT.interrupted;
  const [first] = errors;
  return first ? exitCodeOf(errorFromInfo(first).code) : EXIT.general;
}

/** A transfer that gave no receipt still has one for programs: what was last known, and the error. */
function failedRecord(run: Run, wanted: Wanted, error: PbError): Record<string, unknown> {
  const { progress } = run;
  return {
    jobId: "",
    state: error.code === "aborted" ? "aborted" : "failed",
    ...describeEnds(wanted, formatPlace),
    seconds: progress?.seconds ?? 0,
    bytes: Number(progress?.bytes ?? 0n),
    files: Number(progress?.files ?? 0n),
    skippedFiles: Number(progress?.skippedFiles ?? 0n),
    bytesPerSecond: Number(progress?.bytesPerSecond ?? 0n),
    transport: progress?.transport ?? "",
    sealed: wanted.flags.seal !== false,
    verified: "",
    lanes: progress?.lanes.length ?? 0,
    rttMs: Number(progress?.rttNs ?? 0n) / 1e6,
    minRttMs: Number(progress?.minRttNs ?? 0n) / 1e6,
    lossRate: progress?.lossRate ?? 0,
    retransmittedBytes: (progress?.lanes ?? []).reduce(
      (sum, lane) => sum + Number(lane.bytesRetransmitted),
      0,
    ),
    limitedBy: progress?.limitedBy ?? "",
    hashes: [],
    notices: [],
    errors: [errorRecord(error)],
    moreErrors: 0,
  };
}
