import { resolve } from "node:path";
import { Command } from "commander";
import type { ServeOptions, ServerReady } from "../../model/actions.ts";
import type { CommandHost } from "../context.ts";
import { readGlobals } from "../globals.ts";
import { parseDuration } from "../words/duration.ts";

interface ServeFlags {
  readonly root?: readonly string[];
  readonly listen?: string;
  readonly advertise?: readonly string[];
  readonly state?: string;
  readonly config?: string;
  readonly drain?: string;
  readonly keepHistory?: string;
  readonly jwtIssuer?: readonly string[];
  readonly jwtAudience?: readonly string[];
  readonly jwtRefresh?: string;
}

const collect = (value: string, before?: readonly string[]) => [...(before ?? []), value];

const NOTES = `
One port number serves TCP (calls, TLS 1.3) and UDP (data): a firewall needs one rule.
The first start makes a key and an invite; later ones come from pb invite.
SIGTERM and Ctrl-C let running transfers end, then stop; a second one stops at once.`;

export function serveCommand(host: CommandHost): Command {
  return new Command("serve")
    .summary("offer folders of this machine to clients")
    .description("Offers folders of this machine to the clients that were invited.")
    .option("-r, --root <dir>", "a folder to offer, or NAME=DIR; several need names; repeatable", collect)
    .option("--listen <host:port>", "default: [::]:7373; port 0: any free one")
    .option("--advertise <address>", "HOST or HOST:PORT for invites; repeatable; default: guessed", collect)
    .option("--state <dir>", "where keys and clients are kept")
    .option("--config <file>", "settings, TOML; the command line wins")
    .option("--drain <time>", "how long running transfers may go on after SIGTERM; default: 30s")
    .option("--keep-history <time>", "how long what arrived of an unfinished job is kept; default: 30d")
    .option(
      "--jwt-issuer <url|file>",
      "accept tokens whose keys are there: an issuer, a JWKS, or PEM; repeatable",
      collect,
    )
    .option("--jwt-audience <name>", "what such tokens must be made out to; repeatable", collect)
    .option(
      "--jwt-refresh <time>",
      "how long keys from a URL count before they are asked for again; default: 5m",
    )
    .addHelpText("after", NOTES)
    .action(async (flags: ServeFlags, command: Command) => {
      const context = await host.context(command);
      const { server, signal, out, cwd } = context;
      const globals = readGlobals(command, context.terminal.env);
      let announced: Promise<void> = Promise.resolve();
      const options: ServeOptions = {
        roots: flags.root ?? [],
        signal,
        onReady: (ready) => {
          announced = out.record(readyRecord(ready), globals.quiet ? "" : readyText(ready));
        },
        ...(flags.listen !== undefined && { listen: flags.listen }),
        ...(flags.advertise !== undefined && { advertise: flags.advertise }),
        ...(flags.state !== undefined && { state: resolve(cwd, flags.state) }),
        ...(flags.config !== undefined && { config: resolve(cwd, flags.config) }),
        ...(flags.drain !== undefined && { drainSeconds: parseDuration(flags.drain, "--drain") }),
        ...(flags.keepHistory !== undefined && {
          keepSeconds: parseDuration(flags.keepHistory, "--keep-history"),
        }),
        ...(flags.jwtIssuer !== undefined && { jwtIssuers: flags.jwtIssuer }),
        ...(flags.jwtAudience !== undefined && { jwtAudiences: flags.jwtAudience }),
        ...(flags.jwtRefresh !== undefined && {
          jwtRefreshSeconds: parseDuration(flags.jwtRefresh, "--jwt-refresh"),
        }),
        ...(globals.logLevelGiven && { logLevel: globals.logLevel }),
        ...(globals.logFile !== undefined && { logFile: resolve(cwd, globals.logFile) }),
      };
      await server.serve(options);
      await announced;
    });
}

function readyRecord({ host, port, fingerprint, invite, state }: ServerReady): object {
  return { host, port, fingerprint, state, ...(invite !== undefined && { invite }) };
}

function readyText({ host, port, fingerprint, invite, state }: ServerReady): string {
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const lines = [
    `Serving on ${address}, TCP and UDP.`,
    `  fingerprint  ${fingerprint}`,
    `  state        ${state}`,
  ];
  if (invite === undefined) return [...lines, "Invite a client: pb invite"].join("\n");
  return [
    ...lines,
    "",
    "On a client, within the time of the invite, once:",
    "",
    `  pb remote add NAME ${invite}`,
    "",
  ].join("\n");
}
