import { Command } from "commander";
import type { CommandHost } from "../context.ts";
import { storeFor } from "../store.ts";
import { parseDuration } from "../words/duration.ts";

interface Flags {
  readonly state?: string;
  readonly subject?: string;
  readonly scope?: readonly string[];
  readonly expires?: string;
  readonly revoke?: string;
  readonly rotateKey?: boolean;
}

/** As long as most issuers give; what needs longer asks again. */
const DEFAULT_SECONDS = 900;
const collect = (value: string, before?: readonly string[]) => [...(before ?? []), value];

const NOTES = `
Run it where the server's state is. The token is printed on standard output, and its holder has the access of its
scopes until it ends: pb:read:ROOT and pb:write:ROOT, where ROOT is a root's name, / the one without a name, * all.
Roots are those that the server was started with last.

  pb credentials token --subject ci --scope pb:write:builds --expires 1h
  pb remote add box pb://HOST:PORT --set fingerprint=HEX --stdin token < token`;

export function tokenCommand(host: CommandHost): Command {
  return new Command("token")
    .summary("issue a short-lived access token for a server of this machine, or end one")
    .option("--subject <name>", "who it is for")
    .option("--scope <scope>", "what it gives; repeatable", collect)
    .option("--expires <time>", "default: 15m")
    .option("--revoke <id>", "end the token of this id, at once")
    .option("--rotate-key", "end every token that was issued here, at once")
    .option("--state <dir>", "the server's state folder")
    .addHelpText("after", NOTES)
    .action(async (flags: Flags, self: Command) => {
      const context = await host.context(self);
      const { out, log } = context;
      const store = storeFor(context, { state: flags.state ?? serverState(context) });
      if (flags.rotateKey) {
        await store.rotateTokenKey();
        return log.log("warn", "Tokens are signed with a new key; those of the old one are worth nothing.");
      }
      if (flags.revoke !== undefined) {
        await store.revokeToken(flags.revoke);
        return log.log("warn", `Revoked ${flags.revoke}.`);
      }
      const { token, ...info } = await store.issueToken({
        subject: flags.subject ?? "",
        scopes: flags.scope ?? [],
        expiresSeconds:
          flags.expires === undefined ? DEFAULT_SECONDS : parseDuration(flags.expires, "--expires"),
      });
      log.log(
        "warn",
        `Token ${info.id} for ${info.subject}, until ${info.expiresAt}: ${info.scopes.join(" ")}`,
      );
      // What the command is for: its one way out.
      await out.record({ ...info, token: token.reveal() }, token.reveal());
    });
}

function serverState({ server }: { readonly server: { defaultState(): string } }): string {
  return server.defaultState();
}
