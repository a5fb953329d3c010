import { text } from "node:stream/consumers";
import { Command } from "commander";
import type { RemoteInfo } from "../../model/actions.ts";
import { PbError } from "../../model/error.ts";
import { parseLocation } from "../../model/location.ts";
import { displayPath } from "../../model/path.ts";
import type { CommandHost } from "../context.ts";
import { formatTable } from "../render/text.ts";

export function remoteCommand(host: CommandHost): Command {
  return new Command("remote")
    .summary("the servers that this machine knows")
    .description("Adds, lists and removes the servers that this machine knows.")
    .addCommand(addCommand(host))
    .addCommand(listCommand(host))
    .addCommand(removeCommand(host));
}

function addCommand(host: CommandHost): Command {
  return new Command("add")
    .summary("enrol with a server by its invite")
    .description(
      "Pins the server's fingerprint and enrols a key of this machine's own. The invite's token is used up.",
    )
    .argument("<name>", "letters, digits, . _ -; used as NAME:/path")
    .argument("<invite>", "the line that `pb serve` or `pb invite` printed; -: read from standard input")
    .option("--replace", "replace a remote of this name")
    .action(async (name: string, given: string, flags: { replace?: boolean }, command: Command) => {
      checkName(name);
      const { remotes, signal, out, log, terminal } = await host.context(command);
      const invite = (given === "-" ? await text(terminal.stdin) : given).trim();
      const remote = await remotes.add(name, invite, { replace: flags.replace === true, signal });
      log.log("warn", `Added ${name}: ${remote.address}, fingerprint ${remote.fingerprint}`);
      log.log("warn", `Try: pb ls ${name}:/`);
      await out.record(remote, "");
    });
}

function checkName(name: string): void {
  const location = parseLocation(`${name}:/`);
  if (location.kind === "remote" && location.remote === name) return;
  throw new PbError("usage", `"${displayPath(name)}" is not a name for a remote; use letters, digits, . _ -`);
}

function listCommand(host: CommandHost): Command {
  return new Command("list")
    .alias("ls")
    .summary("list the remotes")
    .action(async (_flags: object, command: Command) => {
      const { remotes, out, log } = await host.context(command);
      const all = await remotes.list();
      if (out.machine) {
        const rows = out.rows<RemoteInfo>({ record: (remote) => remote, text: () => "" });
        await rows.push(all);
        return rows.end();
      }
      if (all.length === 0) return log.log("warn", "No remotes yet. Add one: pb remote add NAME INVITE");
      await out.write(`${remoteTable(all)}\n`);
    });
}

function remoteTable(remotes: readonly RemoteInfo[]): string {
  const columns = ["NAME", "ADDRESS", "ACCESS", "PATH", "EXPIRES", "FINGERPRINT"].map((title) => ({ title }));
  const rows = remotes.map(({ name, address, readOnly, path, expiresAt, fingerprint }) => [
    name,
    displayPath(address),
    readOnly ? "read" : "read, write",
    displayPath(path),
    expiresAt.slice(0, 10),
    fingerprint.slice(0, 16),
  ]);
  return formatTable(columns, rows);
}

function removeCommand(host: CommandHost): Command {
  return new Command("remove")
    .alias("rm")
    .summary("forget a remote and its key")
    .argument("<name>", "the remote's name")
    .action(async (name: string, _flags: object, command: Command) => {
      const { remotes, out, log } = await host.context(command);
      const remote = await remotes.remove(name);
      log.log("warn", `Removed ${name} (${remote.address}).`);
      await out.record(remote, "");
    });
}
