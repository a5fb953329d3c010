/** What concerns the store of credentials as a whole. */

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { Argument, Command } from "commander";
import { IMPORT_SOURCES, type ImportReport, type ImportSource } from "../../model/actions.ts";
import { Secret } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { askNewPassphrase, askSecret } from "../secret-input.ts";
import { STATE_OPTION, storeFor } from "../store.ts";
import { parseChoice } from "../words/number.ts";

interface Flags {
  readonly state?: string;
  readonly replace?: boolean;
  readonly plain?: boolean;
  readonly stdin?: boolean;
  readonly identity?: boolean;
}

export function addStoreCommands(command: Command, host: CommandHost): void {
  command
    .addCommand(importCommand(host))
    .addCommand(exportCommand(host))
    .addCommand(lockCommand(host))
    .addCommand(unlockCommand(host));
}

function importCommand(host: CommandHost): Command {
  return new Command("import")
    .summary("take over what another program has, or an export")
    .description(
      "Takes over remotes and secrets: of rclone.conf, ~/.aws, ~/.ssh/config, ~/.netrc, or an export of pb. Their files stay as they are.",
    )
    .addArgument(
      new Argument("<source>", "what to take over")
        .choices(IMPORT_SOURCES)
        .argParser((word) => parseChoice(word, "source", IMPORT_SOURCES)),
    )
    .argument("[file]", "default: where that program keeps it; -: standard input")
    .option("--replace", "replace what has the same name")
    .option(...STATE_OPTION)
    .action(async (source: ImportSource, file: string | undefined, flags: Flags, self: Command) => {
      const context = await host.context(self);
      const content =
        file === "-"
          ? { text: await text(context.terminal.stdin) }
          : { ...(file !== undefined && { file: resolve(context.cwd, file) }) };
      const passphrase =
        source === "pb" ? await passphraseOf(context, "Passphrase of the export") : undefined;
      const replace = flags.replace === true;
      const options = { source, ...content, replace, ...(passphrase && { passphrase }) };
      const report = await storeFor(context, flags).import(options);
      tell(context, report);
      await context.out.record(report, "");
    });
}

function tell({ log }: CliContext, { remotes, credentials, skipped }: ImportReport): void {
  const names = (all: readonly string[]) => (all.length === 0 ? "none" : all.join(", "));
  log.log("warn", `Remotes: ${names(remotes)}`);
  log.log("warn", `Credentials: ${names(credentials)}`);
  for (const { name, why } of skipped) log.log("warn", `Left ${displayPath(name)}: ${displayPath(why)}`);
}

async function passphraseOf(context: CliContext, question: string): Promise<Secret> {
  const given = await context.credentials.givenPassphrase();
  return given ?? new Secret(await askSecret(context, question, "PB_CONFIG_PASS or --password-command"));
}

function exportCommand(host: CommandHost): Command {
  return new Command("export")
    .summary("write remotes and secrets to one file, sealed by a passphrase")
    .argument("<file>", "a file that is not there yet; -: standard output")
    .option(...STATE_OPTION)
    .action(async (file: string, flags: Flags, self: Command) => {
      const context = await host.context(self);
      const given = (await context.credentials.givenPassphrase()) ?? (await askNewPassphrase(context));
      const { sealed, leftOut } = await storeFor(context, flags).export(given);
      if (leftOut.length > 0) {
        const why =
          "to a Packetboat server each machine has keys of its own: add it there with another invite";
        context.log.log("warn", `Left out ${leftOut.join(", ")}: ${why}`);
      }
      if (file === "-") return context.out.write(sealed);
      try {
        writeFileSync(resolve(context.cwd, file), sealed, { mode: 0o600, flag: "wx" });
      } catch (cause) {
        throw new PbError("io_error", `cannot write ${file}: ${(cause as Error).message}`, {
          path: file,
          cause,
        });
      }
      context.log.log("warn", `Wrote ${file}. Take it over with: pb credentials import pb ${file}`);
    });
}

function lockCommand(host: CommandHost): Command {
  return new Command("lock")
    .summary("protect the store by a passphrase; what lay in clear is sealed")
    .option("--stdin", "read the new passphrase from standard input")
    .option("--identity", "no passphrase: another identity, and everything sealed for that")
    .option(...STATE_OPTION)
    .action(async (flags: Flags, self: Command) => {
      const context = await host.context(self);
      const store = storeFor(context, flags);
      if (flags.identity) {
        await store.rekey();
        return context.log.log(
          "warn",
          "Sealed for a new identity; copies of the old one open nothing here any more.",
        );
      }
      await store.lock(await newPassphrase(context, flags, (await store.state()).locked));
      context.log.log("warn", "Locked. Jobs in the background need --password-command or PB_CONFIG_PASS.");
    });
}

/** What the environment gives is the present one where there is one. */
async function newPassphrase(context: CliContext, flags: Flags, isLocked: boolean): Promise<Secret> {
  if (flags.stdin) return new Secret((await text(context.terminal.stdin)).replace(/\r?\n$/, ""));
  const given = isLocked ? undefined : await context.credentials.givenPassphrase();
  return given ?? askNewPassphrase(context);
}

function unlockCommand(host: CommandHost): Command {
  return new Command("unlock")
    .summary("take the passphrase off")
    .option("--plain", "and keep the secrets in clear (TOML)")
    .option(...STATE_OPTION)
    .action(async (flags: Flags, self: Command) => {
      const context = await host.context(self);
      const store = storeFor(context, flags);
      await store.unlock({ plain: flags.plain === true });
      const { file } = await store.state();
      const how = flags.plain ? `The secrets lie in clear in ${file}.` : "No passphrase is needed any more.";
      context.log.log("warn", how);
    });
}
