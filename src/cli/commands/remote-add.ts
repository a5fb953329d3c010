import { text } from "node:stream/consumers";
import { Command, Option } from "commander";
import type { RemoteInfo } from "../../model/actions.ts";
import { ENDPOINT_KINDS, type EndpointKind, type Secret } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import { parseLocation } from "../../model/location.ts";
import { displayPath } from "../../model/path.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { addSecretOptions, readSecrets, type SecretFlags } from "../secret-input.ts";
import { remotesFor } from "../store.ts";
import { canAsk } from "../terminal.ts";
import { type Answers, askForRemote, type Invited } from "../wizard.ts";
import { parseChoice } from "../words/number.ts";
import { parseSettings, parseTarget, settled, type Wish } from "../words/setting.ts";

interface AddFlags extends SecretFlags {
  readonly replace?: boolean;
  readonly type?: EndpointKind;
  readonly set?: readonly string[];
  readonly credential?: string;
  readonly state?: string;
}

const collect = (value: string, before?: readonly string[]) => [...(before ?? []), value];

const NOTES = `
With an invite this machine enrols with a Packetboat server: the server's fingerprint is pinned, a key of this
machine's own is certified, and the invite's token is used up.

With a URL or a kind (${ENDPOINT_KINDS.join(", ")}) another place is added; on a terminal
what is missing is asked for. Secrets are kept sealed (pb credentials); they are never taken from the command line.

Examples:
  pb remote add box pb1:...
  pb remote add nas sftp://me@nas.example/srv
  pb remote add store s3 --set endpoint=https://s3.example --set bucket=b --stdin < keys
  pb remote add box pb://box.example:7373 --set fingerprint=HEX --stdin token < token`;

export function addCommand(host: CommandHost): Command {
  const command = new Command("add")
    .summary("add a server by its invite, or another place")
    .description("Adds a Packetboat server by its invite, or a place of another kind.")
    .argument("<name>", "letters, digits, . _ -; used as NAME:/path")
    .argument("[what]", "an invite, a URL, or a kind; -: an invite from standard input")
    .option("--replace", "replace a remote of this name")
    .addOption(
      new Option("--type <kind>", "the kind of place")
        .choices(ENDPOINT_KINDS)
        .argParser((word) => parseChoice(word, "--type", ENDPOINT_KINDS)),
    )
    .option("--set <name=value>", "a setting of its kind (not a secret); repeatable", collect)
    .option("--credential <name>", "use these credentials of the store")
    .option("--state <dir>", "add it to the server whose state folder this is");
  return addSecretOptions(command)
    .addHelpText("after", NOTES)
    .action(async (name: string, what: string | undefined, flags: AddFlags, self: Command) => {
      checkName(name);
      const context = await host.context(self);
      const isInvite = what === "-" || (what !== undefined && /^pb1:/i.test(what));
      const remote = isInvite
        ? await enrol(context, { name, what, flags })
        : await add(context, { name, what, flags });
      await context.out.record(remote, "");
    });
}

interface Asked {
  readonly name: string;
  readonly what: string | undefined;
  readonly flags: AddFlags;
}

async function enrol(context: CliContext, { name, what = "", flags }: Asked): Promise<RemoteInfo> {
  const { signal, log, terminal } = context;
  const invite = (what === "-" ? await text(terminal.stdin) : what).trim();
  const remote = await remotesFor(context, flags).add(name, invite, {
    replace: flags.replace === true,
    signal,
  });
  log.log("warn", `Added ${name}: ${remote.address}, fingerprint ${remote.fingerprint}`);
  log.log("warn", `Try: pb ls ${name}:/`);
  return remote;
}

async function add(context: CliContext, { name, what, flags }: Asked): Promise<RemoteInfo> {
  const { signal, log } = context;
  const wish = wishOf(what, flags);
  const secrets = await readSecrets(context, flags);
  const spec = await completed(context, { name, wish, secrets, flags });
  if ("invite" in spec) return enrol(context, { name, what: spec.invite.reveal(), flags });
  const { credential, replace = false } = flags;
  const remote = await remotesFor(context, flags).addEndpoint(
    name,
    { ...spec, settings: settled(spec, context.cwd), ...(credential !== undefined && { credential }) },
    { replace, signal },
  );
  log.log("warn", `Added ${name}: ${remote.type}${remote.address && ` at ${displayPath(remote.address)}`}`);
  const there = flags.state === undefined ? "" : ` --state ${displayPath(flags.state)}`;
  log.log("warn", `Try: pb remote test ${name}${there}`);
  if (there !== "") log.log("warn", `Let clients use it: pb remote allow ${name} CLIENT${there}`);
  return remote;
}

/** @throws PbError `usage` for a word that is no invite, URL or kind: it may be a secret, and is not repeated */
function wishOf(what: string | undefined, flags: AddFlags): Wish | undefined {
  const target = what === undefined ? undefined : parseTarget(what);
  if (what !== undefined && !target) {
    throw new PbError("usage", "what comes after the name is no invite, URL, or kind", {
      hint: `an invite begins with pb1:, a URL with SCHEME://; kinds are ${ENDPOINT_KINDS.join(", ")}`,
    });
  }
  const kind = flags.type ?? target?.kind;
  if (kind === undefined && flags.set === undefined) return undefined;
  if (kind === undefined) {
    throw new PbError("usage", "--set: settings of which kind of place? Name a URL, or --type KIND", {
      peer: "--set",
    });
  }
  // A web server may be one with WebDAV.
  const other =
    target !== undefined && target.kind !== kind && !(target.kind === "http" && kind === "webdav");
  if (other)
    throw new PbError("usage", `--type ${kind}: the URL is of kind ${target.kind}`, { peer: "--type" });
  return { kind, settings: { ...target?.settings, ...parseSettings(kind, flags.set ?? []) } };
}

async function completed(
  context: CliContext,
  {
    name,
    wish,
    secrets,
    flags,
  }: {
    readonly name: string;
    readonly wish: Wish | undefined;
    readonly secrets: Map<string, Secret>;
    readonly flags: AddFlags;
  },
): Promise<Answers | Invited> {
  const isPiped = flags.stdin !== undefined || flags.credential !== undefined;
  const asks = canAsk(context.terminal) && !isPiped && wish?.kind !== "pb";
  if (asks) {
    await remotesFor(context, flags).demandFree(name, { replace: flags.replace === true });
    return askForRemote(context, { ...wish, secrets });
  }
  if (wish) return { ...wish, secrets };
  throw new PbError("usage", "what shall be added? Name an invite, a URL, or --type KIND", {
    hint: "pb remote add --help has examples",
  });
}

function checkName(name: string): void {
  const location = parseLocation(`${name}:/`);
  if (location.kind === "remote" && location.remote === name) return;
  throw new PbError("usage", `"${displayPath(name)}" is not a name for a remote; use letters, digits, . _ -`);
}
