import { resolve } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Resume, type StartRequestSchema } from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { displayPath, pathBytes } from "../model/path.ts";
import type { CliContext } from "./context.ts";
import { detach } from "./detach.ts";
import { follow } from "./follow.ts";
import { pausing } from "./pausing.ts";
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
  /** The sources before globs were expanded, where there were any. */
  readonly patterns?: readonly Place[];
  /** The caller prints the results. */
  readonly silent?: boolean;
}

const STDIN = 0;
const STDOUT = 1;

/** Asks for the transfer, shows how it goes, prints its receipt, sets the exit code; or leaves it to a process of its own. */
export async function runTransfer(context: CliContext, wanted: Wanted): Promise<Record<string, unknown>> {
  const { out, transfers } = context;
  const { flags } = wanted;
  if (wanted.destination === "-" && out.machine) {
    throw new PbError(
      "usage",
      `-o ${out.format} prints on standard output, which carries the data; use --receipt FILE`,
    );
  }
  refuseElsewhere(wanted);
  refuseStreams(wanted);
  if (flags.discard && flags.resume === Resume.AUTO) {
    throw new PbError("usage", "--resume: nothing is left of what was discarded", { peer: "--resume" });
  }
  if (flags.discard && flags.verify) {
    throw new PbError("usage", "--verify full: what is discarded can't be read again", { peer: "--verify" });
  }
  const request = startRequest(wanted, context.cwd);
  if (flags.detach) return detach(context, request);
  const ends = describeEnds(wanted, (place) => displayPath(shortPlace(place, context.cwd)));
  using call = pausing(context, flags.on);
  return await follow(context, {
    events: transfers.start(request, { signal: call.signal }),
    heading: { ...ends, sealed: flags.seal !== false },
    flags,
    ends: describeEnds(wanted, formatPlace),
    onJob: call.onJob,
    ...(wanted.silent && { silent: true }),
  });
}

/** What goes through a pipe is gone: nothing can be taken up again, and no process but this one has the pipe. */
function refuseStreams({ sources, destination, flags }: Wanted): void {
  if (sources !== "-" && destination !== "-") return;
  if (destination === "-" && flags.verify) {
    throw new PbError("usage", "--verify full: what went to standard output can't be read again", {
      peer: "--verify",
    });
  }
  if (destination === "-" && flags.discard) {
    throw new PbError("usage", "--discard needs a place as the destination, not standard output");
  }
  const stream = sources === "-" ? "standard input" : "standard output";
  if (flags.resume === Resume.AUTO) {
    throw new PbError("usage", `--resume: ${stream} can't be taken up in the middle`, { peer: "--resume" });
  }
  if (flags.detach) {
    throw new PbError("usage", `--detach: ${stream} is this command's own`, { peer: "--detach" });
  }
}

/** What is this process's own (its streams, its files) is out of a server's reach. */
function refuseElsewhere({ sources, destination, flags }: Wanted): void {
  if (flags.on === undefined) return;
  const wrong =
    sources === "-" || destination === "-"
      ? "a standard stream"
      : (["manifest", "trace"] as const)
          .filter((name) => flags[name] !== undefined)
          .map((name) => `--${name}`)[0];
  if (wrong)
    throw new PbError("usage", `--on: the job runs at ${flags.on}; ${wrong} is of this machine`, {
      peer: "--on",
    });
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
    resume: flags.resume ?? Resume.AUTO,
    label: flags.label ?? "",
    patterns: (wanted.patterns ?? []).map((place) => pathBytes(formatPlace(place))),
    ...jobFields(flags),
    on: wanted.flags.on ?? "",
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

/** How long a run may take, how it deals with losses, and what is kept of jobs that are over. */
export function jobFields({ deadline, retries, keepHistory }: TransferFlags) {
  return {
    deadlineMs: BigInt(Math.ceil((deadline ?? 0) * 1_000)),
    // 0 would leave it to the service.
    keepHistorySeconds: keepHistory === undefined ? 0n : BigInt(Math.max(1, Math.ceil(keepHistory))),
    ...(retries !== undefined && { retries }),
  };
}
