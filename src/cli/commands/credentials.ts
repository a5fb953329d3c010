import { Command } from "commander";
import type { CredentialInfo } from "../../model/actions.ts";
import type { Secret } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { formatTable } from "../render/text.ts";
import { addSecretOptions, askSecret, readSecrets, type SecretFlags } from "../secret-input.ts";
import { STATE_OPTION, storeFor } from "../store.ts";
import { canAsk } from "../terminal.ts";
import { addStoreCommands } from "./credentials-store.ts";
import { tokenCommand } from "./credentials-token.ts";

interface Flags extends SecretFlags {
  readonly state?: string;
  readonly user?: string;
  readonly host?: string;
  readonly replace?: boolean;
  readonly drop?: readonly string[];
  readonly reveal?: boolean;
}

const HIDDEN = "••••••";
const collect = (value: string, before?: readonly string[]) => [...(before ?? []), value];

const NOTES = `
Secrets are kept in one file, sealed by age for an identity beside it; pb credentials lock protects that by a passphrase,
which comes from --password-command, PB_CONFIG_PASS, or a question. No secret is ever taken from the command line:
use --stdin, --secret-file, or answer when asked.`;

export function credentialsCommand(host: CommandHost): Command {
  const command = new Command("credentials")
    .summary("the secrets that remotes are reached with")
    .description("Keeps the secrets that remotes are reached with: passwords, keys, tokens.")
    .addHelpText("after", NOTES)
    .addCommand(addCommand(host))
    .addCommand(listCommand(host))
    .addCommand(showCommand(host))
    .addCommand(changeCommand(host, "edit"))
    .addCommand(removeCommand(host))
    .addCommand(changeCommand(host, "rotate"));
  addStoreCommands(command, host);
  return command.addCommand(tokenCommand(host));
}

function addCommand(host: CommandHost): Command {
  const command = new Command("add")
    .summary("keep secrets under a name")
    .description(
      "Keeps secrets under a name: a remote's own, or any that remotes are told to use (--credential).",
    )
    .argument("<name>", "what to call it")
    .option("--user <name>", "who it is for")
    .option("--host <name>", "give it to this host when a URL is named instead of a remote")
    .option("--replace", "replace one of this name")
    .option(...STATE_OPTION);
  return addSecretOptions(command).action(async (name: string, flags: Flags, self: Command) => {
    const context = await host.context(self);
    const given = { ...whom(flags), secrets: await secretsFrom(context, flags) };
    const made = await storeFor(context, flags).add(name, given, { replace: flags.replace === true });
    await said(context, `Keeping ${name}: ${made.secrets.join(", ")}.`, made);
  });
}

/** The terminal is asked for a password where no flag brings anything. */
async function secretsFrom(context: CliContext, flags: SecretFlags): Promise<Map<string, Secret>> {
  const secrets = await readSecrets(context, flags);
  if (secrets.size > 0) return secrets;
  if (!canAsk(context.terminal)) {
    throw new PbError("usage", "no secret was given", { hint: "--stdin NAME reads it from standard input" });
  }
  const { Secret } = await import("../../model/endpoint.ts");
  const password = await askSecret(context, "Password", "--stdin password");
  return new Map([["password", new Secret(password)]]);
}

function whom({ user, host }: Flags) {
  return { ...(user !== undefined && { user }), ...(host !== undefined && { host }) };
}

async function said(context: CliContext, text: string, record: object): Promise<void> {
  context.log.log("warn", text);
  await context.out.record(record, "");
}

function listCommand(host: CommandHost): Command {
  return new Command("list")
    .alias("ls")
    .summary("list what is kept, without the secrets")
    .option(...STATE_OPTION)
    .action(async (flags: Flags, self: Command) => {
      const context = await host.context(self);
      const { out, log } = context;
      const all = await storeFor(context, flags).list();
      if (out.machine) {
        const rows = out.rows<CredentialInfo>({ record: (each) => each, text: () => "" });
        await rows.push(all);
        return rows.end();
      }
      if (all.length === 0)
        return log.log("warn", "No credentials yet. pb remote add keeps those of remotes.");
      await out.write(`${table(all)}\n`);
    });
}

function table(all: readonly CredentialInfo[]): string {
  const columns = ["NAME", "KIND", "SECRETS", "USER", "HOST", "CHANGED", "USED BY"].map((title) => ({
    title,
  }));
  const rows = all.map(({ name, kind, secrets, user = "", host = "", createdAt, rotatedAt, usedBy }) => [
    name,
    kind,
    secrets.join(", "),
    displayPath(user),
    displayPath(host),
    (rotatedAt ?? createdAt).slice(0, 10),
    usedBy.join(", "),
  ]);
  return formatTable(columns, rows);
}

function showCommand(host: CommandHost): Command {
  return new Command("show")
    .summary("show one, its secrets hidden")
    .argument("<name>", "as `pb credentials list` shows it")
    .option("--reveal", "with its secrets; on a terminal only")
    .option(...STATE_OPTION)
    .action(async (name: string, flags: Flags, self: Command) => {
      const context = await host.context(self);
      const { out, terminal } = context;
      if (flags.reveal && !(terminal.stdout.isTTY === true && canAsk(terminal))) {
        throw new PbError(
          "usage",
          "--reveal shows secrets on a terminal only: here they would go into a file or pipe",
        );
      }
      const { values, ...info } = await storeFor(context, flags).show(name);
      const shown = [...values].map(([key, value]) => [key, flags.reveal ? value.reveal() : HIDDEN] as const);
      const record = { ...info, secrets: Object.fromEntries(shown) };
      await out.record(record, showText(info, shown));
    });
}

function showText(
  { secrets: _, usedBy, ...rest }: CredentialInfo,
  shown: readonly (readonly [string, string])[],
) {
  const lines = [...Object.entries({ ...rest, usedBy: usedBy.join(", ") }), ...shown];
  return lines.map(([key, value]) => `${key.padEnd(18)} ${value}`).join("\n");
}

function changeCommand(host: CommandHost, verb: "edit" | "rotate"): Command {
  const rotate = verb === "rotate";
  const command = new Command(verb)
    .summary(
      rotate ? "replace the secrets, at once for everything that uses them" : "change some, keep the rest",
    )
    .argument("<name>", "as `pb credentials list` shows it")
    .option(...STATE_OPTION);
  if (!rotate) {
    command
      .option("--user <name>", "who it is for")
      .option("--host <name>", "the host that may get it")
      .option("--drop <secret>", "remove a secret; repeatable", collect);
  }
  return addSecretOptions(command).action(async (name: string, flags: Flags, self: Command) => {
    const context = await host.context(self);
    const asks = rotate || (Object.keys(whom(flags)).length === 0 && flags.drop === undefined);
    const secrets = asks ? await secretsFrom(context, flags) : await readSecrets(context, flags);
    const change = { ...whom(flags), secrets, ...(flags.drop && { drop: flags.drop }) };
    const made = await storeFor(context, flags).edit(name, change, { rotate });
    await said(context, `Changed ${name}: ${made.secrets.join(", ")}.`, made);
  });
}

function removeCommand(host: CommandHost): Command {
  return new Command("remove")
    .alias("rm")
    .summary("forget one")
    .argument("<name>", "as `pb credentials list` shows it")
    .option(...STATE_OPTION)
    .action(async (name: string, flags: Flags, self: Command) => {
      const context = await host.context(self);
      const gone = await storeFor(context, flags).remove(name);
      const users = gone.usedBy.length > 0 ? `; it was used by ${gone.usedBy.join(", ")}` : "";
      await said(context, `Removed ${name}${users}.`, gone);
    });
}
