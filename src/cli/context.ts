import type { Client } from "@connectrpc/connect";
import type { Command } from "commander";
import type { FileService } from "../gen/packetboat/v1/file_pb.ts";
import type { JobService } from "../gen/packetboat/v1/job_pb.ts";
import type { TransferService } from "../gen/packetboat/v1/transfer_pb.ts";
import type {
  CredentialActions,
  DoctorActions,
  RemoteActions,
  ServerActions,
  StoreActions,
} from "../model/actions.ts";
import type { ExitCode } from "../model/exit.ts";
import type { Log } from "./log.ts";
import type { Output } from "./output.ts";
import type { Terminal } from "./terminal.ts";

export type Files = Client<typeof FileService>;
export type Jobs = Client<typeof JobService>;
export type Transfers = Client<typeof TransferService>;

/** What a daemon (in this process, or elsewhere) does for the commands. */
export interface Services {
  readonly files: Files;
  readonly transfers: Transfers;
  readonly jobs: Jobs;
  readonly remotes: RemoteActions;
  readonly credentials: CredentialActions;
  /** Remotes and credentials of a server's state folder instead of this client's. */
  storeOf(state: string): StoreActions;
  readonly server: ServerActions;
  readonly doctor: DoctorActions;
}

/** What every command has. */
export interface Shell {
  readonly terminal: Terminal;
  readonly out: Output;
  readonly log: Log;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  readonly cwd: string;
  readonly version: string;
  /** How to start this program again: executable, then its first arguments. */
  readonly self: readonly string[];
  /** As --password-command says; a process of a job gets it, too. */
  readonly passwordCommand?: string;
  /** The process ends with this unless an error ends it. */
  setExitCode(code: ExitCode): void;
}

export interface CliContext extends Shell, Services {}

/** What main.ts gives to the command tree. The daemon is loaded by the first `context()`. */
export interface CommandHost {
  shell(command: Command): Shell;
  context(command: Command): Promise<CliContext>;
}
