import type { Command } from "commander";
import type { CommandHost } from "./context.ts";

type Make = (host: CommandHost) => Command;

export interface CommandEntry {
  /** The name, then its aliases: as the command itself says. */
  readonly names: readonly string[];
  /** Heading in the help; "": not shown. */
  readonly group: string;
  /** Loaded only when it is needed: a command starts without what the others bring. */
  readonly load: () => Promise<Make>;
}

/** Every command. A new one: one file, one line here. */
export const COMMANDS: readonly CommandEntry[] = [
  entry(
    "Transfers:",
    ["transfer", "cp"],
    async () => (await import("./commands/transfer.ts")).transferCommand,
  ),
  entry("Transfers:", ["move", "mv"], async () => (await import("./commands/move.ts")).moveCommand),
  entry("Transfers:", ["jobs"], async () => (await import("./commands/jobs.ts")).jobsCommand),
  entry("Transfers:", ["trace"], async () => (await import("./commands/trace.ts")).traceCommand),
  entry("Files:", ["list", "ls"], async () => (await import("./commands/list.ts")).listCommand),
  entry("Files:", ["stat"], async () => (await import("./commands/stat.ts")).statCommand),
  entry("Files:", ["mkdir"], async () => (await import("./commands/mkdir.ts")).mkdirCommand),
  entry("Files:", ["touch"], async () => (await import("./commands/touch.ts")).touchCommand),
  entry("Files:", ["rename"], async () => (await import("./commands/rename.ts")).renameCommand),
  entry("Files:", ["rm", "remove"], async () => (await import("./commands/rm.ts")).rmCommand),
  entry("Servers:", ["serve"], async () => (await import("./commands/serve.ts")).serveCommand),
  entry("Servers:", ["invite"], async () => (await import("./commands/invite.ts")).inviteCommand),
  entry("Servers:", ["clients"], async () => (await import("./commands/clients.ts")).clientsCommand),
  entry("Servers:", ["remote"], async () => (await import("./commands/remote.ts")).remoteCommand),
  entry(
    "Servers:",
    ["credentials"],
    async () => (await import("./commands/credentials.ts")).credentialsCommand,
  ),
  entry("Help:", ["doctor"], async () => (await import("./commands/doctor.ts")).doctorCommand),
  entry("Help:", ["demo"], async () => (await import("./commands/demo.ts")).demoCommand),
  entry("Help:", ["completion"], async () => (await import("./commands/completion.ts")).completionCommand),
  entry("Help:", ["version"], async () => (await import("./commands/version.ts")).versionCommand),
];

/** What the completion scripts call; it must see all the others. */
export const COMPLETE: CommandEntry = entry(
  "",
  ["__complete"],
  async () => (await import("./commands/completion.ts")).completeCommand,
);

function entry(group: string, names: readonly string[], load: () => Promise<Make>): CommandEntry {
  return { names, group, load };
}

/** Only the command that the first word names; all of them when that is not one (help, an option, a wrong word). */
export function commandsFor(args: readonly string[]): readonly CommandEntry[] {
  const [first = ""] = args;
  const found = COMMANDS.find(({ names }) => names.includes(first));
  return found ? [found] : [...COMMANDS, COMPLETE];
}
