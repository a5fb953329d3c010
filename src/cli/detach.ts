import { spawn } from "node:child_process";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StartRequestSchema } from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import type { CliContext } from "./context.ts";
import { shortJobId } from "./follow.ts";
import type { TransferFlags } from "./transfer-options.ts";

/** Records the job and leaves it to a process in a session of its own, which no terminal can hang up; or to the server that runs it. */
export async function detach(
  context: CliContext,
  request: MessageInitShape<typeof StartRequestSchema>,
): Promise<Record<string, unknown>> {
  const { jobs, signal } = context;
  const { id, resumed } = await jobs.createJob({ request }, { signal });
  const { on = "" } = request;
  if (on === "") await startApart(context, id);
  const record = { id, resumed };
  await context.out.record(record, id);
  context.log.log(
    "info",
    `pb jobs watch ${on === "" ? "" : `--remote ${on} `}${shortJobId(id)} shows how it goes`,
  );
  return record;
}

const FLAGS = { retries: "--retries", deadline: "--deadline", keepHistory: "--keep-history" } as const;

/** What it would say goes into its record: `pb jobs show`. */
export async function startApart(
  { self, cwd, terminal, credentials, passwordCommand }: CliContext,
  id: string,
  flags: Pick<TransferFlags, "retries" | "deadline" | "keepHistory"> = {},
): Promise<void> {
  const [command = "", ...first] = self;
  const given = Object.entries(flags).flatMap(([name, value]) => {
    const flag = FLAGS[name as keyof typeof FLAGS];
    return flag === undefined || value === undefined ? [] : [flag, String(value)];
  });
  // A passphrase goes through a pipe: arguments and environments are for others to read.
  const passphrase = credentials.passphraseForChild();
  const opening =
    passphrase !== undefined
      ? ["--password-fd", "0"]
      : passwordCommand !== undefined
        ? ["--password-command", passwordCommand]
        : [];
  const child = spawn(command, [...first, "jobs", "resume", "--quiet", ...opening, ...given, id], {
    cwd,
    env: { ...terminal.env },
    detached: true,
    stdio: [passphrase === undefined ? "ignore" : "pipe", "ignore", "ignore"],
  });
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(passphrase);
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) => {
      reject(
        new PbError("io_error", `a process for job ${id} can't be started: ${cause.message}`, { cause }),
      );
    });
  });
  child.unref();
}
