import { Command } from "commander";
import type { Job } from "../../gen/packetboat/v1/job_pb.ts";
import { PbError } from "../../model/error.ts";
import { EXIT } from "../../model/exit.ts";
import { displayPath } from "../../model/path.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { startApart } from "../detach.ts";
import { follow, shortJobId } from "../follow.ts";
import { pausing } from "../pausing.ts";
import { jobRecord, jobTable, jobText } from "../render/job.ts";
import { columnsOf } from "../terminal.ts";
import { JOB_GROUP, jobOptions, type TransferFlags } from "../transfer-options.ts";
import { jobFields } from "../transfer-run.ts";

const NOTES = `
JOB: an id, a beginning of one that no other has, or a label.
States: queued, running, interrupted (its process went), paused, done, partial, failed, cancelled.
Interrupted, paused and failed jobs go on with pb jobs resume, or when the same transfer is given again.
Jobs that a server runs (pb transfer --on) are reached with --remote NAME.`;

interface FarFlag {
  readonly remote?: string;
}

const FAR = ["--remote <name>", "of the jobs at this server"] as const;

/** `box` and `box:` alike; "": this PB_HOME. */
const farOf = ({ remote = "" }: FarFlag) => remote.replace(/:$/, "");

export function jobsCommand(host: CommandHost): Command {
  return new Command("jobs")
    .summary("transfers that run, can go on, or are over")
    .description("Shows and steers the transfers of this PB_HOME, in whatever process they run.")
    .addHelpText("after", NOTES)
    .addCommand(listCommand(host))
    .addCommand(showCommand(host))
    .addCommand(watchCommand(host))
    .addCommand(pauseCommand(host))
    .addCommand(resumeCommand(host))
    .addCommand(removingCommand(host, "cancel"))
    .addCommand(removingCommand(host, "forget"));
}

/** `box:` as `box`. */
function remoteOf(word: string | undefined): string {
  if (word === undefined) return "";
  if (/^[^/:]+:$/.test(word)) return word.slice(0, -1);
  throw new PbError("usage", `"${word}" is not a remote; write REMOTE: for what a server keeps`, {
    peer: word,
  });
}

function listCommand(host: CommandHost): Command {
  return new Command("list")
    .alias("ls")
    .summary("list the jobs, newest first")
    .argument(
      "[remote:]",
      "instead: those that this server runs for you, and what it keeps of jobs that were sent to it from here",
    )
    .option("--remote <name>", "the same")
    .action(async (word: string | undefined, flags: FarFlag, command: Command) => {
      const context = await host.context(command);
      const remote = remoteOf(word) || farOf(flags);
      const { jobs } = await context.jobs.listJobs({ remote }, { signal: context.signal });
      if (context.out.machine) {
        const rows = context.out.rows<Job>({ record: jobRecord, text: () => "" });
        await rows.push(jobs);
        return rows.end();
      }
      if (jobs.length === 0) return context.log.log("warn", "No jobs.");
      const { stdout } = context.terminal;
      const screen = stdout.isTTY ? columnsOf(stdout) : undefined;
      await context.out.write(`${jobTable(jobs, context.out.colors, screen)}\n`);
    });
}

function showCommand(host: CommandHost): Command {
  return new Command("show")
    .summary("all that is known of a job")
    .argument("<job>", "id, beginning of one, or label")
    .option(...FAR)
    .action(async (id: string, flags: FarFlag, command: Command) => {
      const context = await host.context(command);
      const { job } = await context.jobs.showJob({ id, remote: farOf(flags) }, { signal: context.signal });
      if (job) await context.out.record(jobRecord(job), jobText(job, context.out.colors));
    });
}

function watchCommand(host: CommandHost): Command {
  return new Command("watch")
    .summary("show how a running job goes, until it ends; Ctrl-C leaves it running")
    .argument("<job>", "id, beginning of one, or label")
    .option(...FAR)
    .action(async (id: string, flags: FarFlag, command: Command) => {
      const context = await host.context(command);
      const { signal, jobs } = context;
      const remote = farOf(flags);
      const { job } = await jobs.showJob({ id, remote }, { signal });
      if (!job) return;
      try {
        const events = jobs.watchJob({ id: job.id, remote }, { signal });
        await follow(context, { events, ...following(job, { on: remote }) });
      } catch (error) {
        if (!signal.aborted) throw error;
        context.log.log("warn", `job ${shortJobId(job.id)} goes on without you`);
        context.setExitCode(EXIT.interrupted);
      }
    });
}

function pauseCommand(host: CommandHost): Command {
  return new Command("pause")
    .summary("stop running jobs, keeping what they have")
    .argument("<job...>", "ids, beginnings of them, or labels")
    .option(...FAR)
    .action(async (ids: string[], flags: FarFlag, command: Command) => {
      const context = await host.context(command);
      const remote = farOf(flags);
      const there = remote === "" ? "" : `--remote ${remote} `;
      await each(context, ids, async (id) => {
        const { job } = await context.jobs.pauseJob({ id, remote }, { signal: context.signal });
        return { job, said: (short) => `paused ${short}; go on with: pb jobs resume ${there}${short}` };
      });
    });
}

function removingCommand(host: CommandHost, name: "cancel" | "forget"): Command {
  const [summary, done] =
    name === "cancel"
      ? ["stop jobs and remove what of them is not finished, at the destination too", "cancelled"]
      : ["remove jobs that do not run from the history, with what of them is not finished", "forgot"];
  return new Command(name)
    .summary(summary)
    .argument("<job...>", "ids, beginnings of them, or labels")
    .option(...FAR)
    .action(async (ids: string[], flags: FarFlag, command: Command) => {
      const context = await host.context(command);
      const ask = { cancel: context.jobs.cancelJob, forget: context.jobs.forgetJob }[name];
      await each(context, ids, async (id) => {
        const { job } = await ask({ id, remote: farOf(flags) }, { signal: context.signal });
        return { job, said: (short) => `${done} ${short}` };
      });
    });
}

interface Answer {
  readonly job: Job | undefined;
  readonly said: (shortId: string) => string;
}

/** In turn; the first that fails ends it. */
async function each(
  { out, log }: CliContext,
  ids: readonly string[],
  ask: (id: string) => Promise<Answer>,
): Promise<void> {
  const rows = out.rows<Job>({ record: jobRecord, text: () => "" });
  for (const id of ids) {
    const { job, said } = await ask(id);
    if (!job) continue;
    log.log("warn", said(shortJobId(job.id)), { fields: { job: job.id } });
    if (out.machine) await rows.push([job]);
  }
  if (out.machine) await rows.end();
}

function resumeCommand(host: CommandHost): Command {
  const command = new Command("resume")
    .summary("go on with a job that was interrupted, paused, or failed")
    .argument("<job>", "id, beginning of one, or label")
    .option(...FAR);
  for (const option of jobOptions()) {
    if (option.attributeName() !== "label") command.addOption(option.helpGroup(JOB_GROUP));
  }
  return command.action(async (id: string, flags: TransferFlags & FarFlag, self: Command) => {
    const context = await host.context(self);
    const { job } = await context.jobs.showJob({ id, remote: farOf(flags) }, { signal: context.signal });
    if (job) await resume(context, job, flags);
  });
}

async function resume(context: CliContext, job: Job, flags: TransferFlags & FarFlag): Promise<void> {
  const on = farOf(flags);
  const request = { jobId: job.id, on, ...jobFields(flags) };
  if (flags.detach) {
    // What is refused is refused here, where somebody reads it.
    await context.jobs.createJob({ request }, { signal: context.signal });
    if (on === "") await startApart(context, job.id, flags);
    return context.out.record({ id: job.id, resumed: true }, job.id);
  }
  using call = pausing(context, on);
  const events = context.transfers.start(request, { signal: call.signal });
  await follow(context, { events, onJob: call.onJob, ...following(job, { ...flags, on }) });
}

function following({ source, destination }: Job, flags: TransferFlags) {
  const ends = { source, destination };
  const shown = { source: displayPath(source), destination: displayPath(destination) };
  return { heading: { ...shown, sealed: true }, ends, flags };
}
