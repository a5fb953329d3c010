import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import { createColors } from "picocolors";
import {
  type JobStarted,
  type PlannedAction,
  type Progress,
  ProgressSchema,
  type Receipt,
  ReceiptSchema,
  type StartResponse,
} from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { EXIT, exitCodeOf } from "../model/exit.ts";
import { displayPath, pathText } from "../model/path.ts";
import type { CliContext } from "./context.ts";
import { ReaderGone, type Rows } from "./output.ts";
import type { Heading } from "./render/frame.ts";
import { progressRecord } from "./render/job.ts";
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
import type { TransferFlags } from "./transfer-options.ts";

/** A transfer to be shown until it ends. */
export interface Following {
  readonly events: AsyncIterable<StartResponse>;
  readonly heading: Heading;
  readonly flags: TransferFlags;
  /** Of both ends, as a receipt has them; for one that had to be made up here. */
  readonly ends: { readonly source: string; readonly destination: string };
  /** Told the job as soon as it is known. */
  readonly onJob?: (job: { readonly id: string; readonly resumable: boolean }) => void;
  /** Keep quiet about results on standard output: the caller prints them. */
  readonly silent?: boolean;
}

/** Between progress lines where there is no terminal: one a minute keeps a log readable. */
const DEFAULT_INTERVAL_SECONDS = 60;

/** Shows how a transfer goes, prints its receipt, sets the exit code; gives the receipt's record. @throws PbError of its failure */
export async function follow(context: CliContext, following: Following): Promise<Record<string, unknown>> {
  const { log } = context;
  const { events, heading, flags } = following;
  const quiet = !log.isEnabled("warn") || flags.dryRun === true;
  const intervalSeconds = flags.progressInterval ?? DEFAULT_INTERVAL_SECONDS;
  const display = openDisplay({ shell: context, heading, intervalSeconds, quiet });
  const run = new Run(context, following);
  let failure: PbError | undefined;
  try {
    for await (const response of events) {
      const news = await run.take(response);
      if (news) display.update(news);
    }
  } catch (error) {
    if (error instanceof ReaderGone) {
      // Whoever shows it stops it when this is thrown: it has not come to its end.
      context.setExitCode(EXIT.interrupted);
      if (run.job?.resumable) log.log("warn", `go on with: ${resuming(run, run.job)}`);
      throw error;
    }
    failure = toPbError(error);
  } finally {
    display.close();
  }
  return finish({ context, run, following, failure });
}

/** As many pieces of advice are remembered: they are few, unless one names a path. */
const MAX_ADVICE = 100;

/** What has been heard of a transfer. */
class Run {
  receipt: Receipt | undefined;
  /** Where it is recorded. */
  job: { readonly id: string; readonly resumable: boolean } | undefined;
  progress: Progress | undefined;
  readonly planned: PlannedAction[] = [];
  readonly dryRun: boolean;
  /** The server that runs it; "": none. */
  readonly on: string;
  /** For the summary: what was asked for that has a price. */
  readonly notes: readonly string[];
  readonly #context: CliContext;
  readonly #plan: Rows<PlannedAction>;
  readonly #onJob: Following["onJob"];
  readonly #advice = new Set<string>();

  constructor(context: CliContext, { flags, onJob }: Following) {
    this.#context = context;
    this.#onJob = onJob;
    this.dryRun = flags.dryRun === true;
    this.on = flags.on ?? "";
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
    if (event.case === "job") await this.#takeJob(event.value);
    if (event.case === "planned") await this.#takePlanned(event.value);
    if (event.case === "notice") {
      const { code, message } = event.value;
      log.log("warn", displayPath(message), { fields: { notice: code } });
      await this.#line({ event: "notice", ...noticeRecord(event.value) });
    }
    if (event.case === "error") {
      const error = errorFromInfo(event.value);
      log.log("error", `pb: ${errorText(error)}`, { fields: { code: error.code, path: error.path } });
      this.#advise(error.hint);
      await this.#line({ event: "error", ...errorInfoRecord(event.value) });
    }
    if (event.case !== "progress") return undefined;
    this.progress = event.value;
    if (out.format === "jsonl") await this.#line({ event: "progress", ...progressRecord(event.value) });
    return event.value;
  }

  /** Each piece of advice once: a thousand files may fail for one reason. */
  #advise(hint: string | undefined): void {
    if (hint === undefined || hint === "" || this.#advice.has(hint)) return;
    if (this.#advice.size < MAX_ADVICE) this.#advice.add(hint);
    this.#context.log.log("error", `    ${displayPath(hint)}`);
  }

  async #takeJob({ id, resumed, resumable }: JobStarted): Promise<void> {
    this.job = { id, resumable };
    this.#onJob?.(this.job);
    const { log } = this.#context;
    if (resumed) log.log("warn", `going on with job ${shortJobId(id)}`, { fields: { job: id } });
    else log.log("info", `job ${id}`);
    await this.#line({ event: "job", id, resumed, resumable });
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

const NO_RECEIPT = new PbError("protocol_violation", "the transfer ended without a receipt");

interface Finish {
  readonly context: CliContext;
  readonly run: Run;
  readonly following: Following;
  readonly failure: PbError | undefined;
}

async function finish({ context, run, following, failure }: Finish): Promise<Record<string, unknown>> {
  const { out, setExitCode } = context;
  const { receipt } = run;
  const planned = run.dryRun && out.format !== "jsonl" ? { planned: run.planned.map(plannedRecord) } : {};
  const shown = receipt ? receiptRecord(receipt) : failedRecord(run, following, failure ?? NO_RECEIPT);
  const record = { ...shown, ...planned };
  // Known before anything is written: nobody may be there to read.
  if (!receipt) setExitCode(exitCodeOf((failure ?? NO_RECEIPT).code));
  else if (receipt.state !== "done") setExitCode(exitCodeOfReceipt(receipt));
  writeReceipt(following.flags, context.cwd, shown);
  if (out.machine && following.silent !== true) await out.record(eventRecord(out.format, record), "");
  if (!receipt) throw failure ?? NO_RECEIPT;
  sayReceipt(context, run, receipt);
  if (failure) throw failure;
  return record;
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
  const copies = log.isEnabled("info");
  const columns = columnsOf(terminal.stderr);
  const lines = summaryLines(receipt, { columns, colors, copies, notes: run.notes });
  terminal.stderr.write(lines.map((line) => `${line}\n`).join(""));
  if (run.job?.resumable && CAN_GO_ON.has(receipt.state)) {
    terminal.stderr.write(`go on with: ${resuming(run, run.job)}\n`);
  }
}

function resuming({ on }: Run, { id }: { readonly id: string }): string {
  return `pb jobs resume ${on === "" ? "" : `--remote ${on} `}${shortJobId(id)}`;
}

/** Enough of an id to be the only one that starts so. */
export function shortJobId(id: string): string {
  return id.slice(0, 8);
}

const CAN_GO_ON: ReadonlySet<string> = new Set(["paused", "failed"]);

/** Partial is partial; a failure has the code of its first error. */
export function exitCodeOfReceipt({ state, errors }: Receipt) {
  if (state === "partial") return EXIT.partial;
  if (state === "aborted" || state === "paused" || state === "cancelled") return EXIT.interrupted;
  const [first] = errors;
  return first ? exitCodeOf(errorFromInfo(first).code) : EXIT.general;
}

/** A transfer that gave no receipt still has one for programs: what was last known, and the error. */
function failedRecord(
  run: Run,
  { ends, heading, flags }: Following,
  error: PbError,
): Record<string, unknown> {
  const { seconds, bytes, files, skippedFiles, bytesPerSecond, transport, lanes, ...path } =
    run.progress ?? create(ProgressSchema);
  const known = create(ReceiptSchema, {
    jobId: run.job?.id ?? "",
    state: error.code === "aborted" ? "aborted" : "failed",
    ...ends,
    ...{ seconds, bytes, files, skippedFiles, bytesPerSecond: Number(bytesPerSecond), transport },
    sealed: heading.sealed,
    discarded: flags.discard === true,
    lanes: lanes.length,
    rttMs: Number(path.rttNs) / 1e6,
    minRttMs: Number(path.minRttNs) / 1e6,
    lossRate: path.lossRate,
    retransmittedBytes: lanes.reduce((sum, lane) => sum + lane.bytesRetransmitted, 0n),
    limitedBy: path.limitedBy,
    paths: lanes,
  });
  return { ...receiptRecord(known), errors: [errorRecord(error)] };
}
