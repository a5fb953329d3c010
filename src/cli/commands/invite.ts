import { resolve } from "node:path";
import { Command, Option } from "commander";
import { PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";
import type { CommandHost } from "../context.ts";
import { plural } from "../render/units.ts";
import { parseDuration } from "../words/duration.ts";
import { parseCount } from "../words/number.ts";

interface InviteFlags {
  readonly readOnly?: boolean;
  readonly path?: string;
  readonly expires?: number;
  readonly uses?: number;
  readonly state?: string;
  readonly advertise?: string;
}

const HOUR_SECONDS = 3600;

export function inviteCommand(host: CommandHost): Command {
  return new Command("invite")
    .summary("let another machine in: makes the line that it enrols with")
    .description(
      "Makes an invite: one line with this server's address, fingerprint and a token. Run it where the server's state is.",
    )
    .option("--read-only", "the client may not write")
    .option("--path <path>", "the client sees only what is below; default: /")
    .addOption(
      new Option("--expires <time>", "default: 1h").argParser((text) => parseDuration(text, "--expires")),
    )
    .addOption(
      new Option("--uses <n>", "how many clients may enrol with it; default: 1").argParser((text) =>
        parseCount(text, "--uses", { min: 1, max: 1_000_000 }),
      ),
    )
    .option("--state <dir>", "the server's state folder")
    .option("--advertise <address>", "HOST or HOST:PORT to put in; default: as the server does")
    .action(async (flags: InviteFlags, command: Command) => {
      const { path = "/", expires = HOUR_SECONDS } = flags;
      if (!path.startsWith("/"))
        throw new PbError("usage", `--path: ${path} must start with /`, { peer: "--path" });
      if (expires < 1) throw new PbError("usage", "--expires: at least 1s", { peer: "--expires" });
      const { server, out, cwd } = await host.context(command);
      const invite = await server.invite({
        readOnly: flags.readOnly === true,
        path,
        expiresSeconds: Math.floor(expires),
        uses: flags.uses ?? 1,
        ...(flags.state !== undefined && { state: resolve(cwd, flags.state) }),
        ...(flags.advertise !== undefined && { advertise: flags.advertise }),
      });
      const access = `${invite.readOnly ? "reads" : "reads and writes"} ${displayPath(invite.path)}`;
      const terms = `For ${plural(invite.uses, "client")}, until ${invite.expiresAt}; ${access}.`;
      await out.record(invite, `pb remote add NAME ${invite.invite}\n\n${terms}`);
    });
}
