import { Command } from "commander";
import type { RemoteInfo } from "../../model/actions.ts";
import { displayPath } from "../../model/path.ts";
import type { CommandHost } from "../context.ts";
import { showChecks } from "../render/check.ts";
import { formatTable } from "../render/text.ts";
import { remotesFor, STATE_OPTION, type StateFlag } from "../store.ts";
import { parsePlace } from "../words/place.ts";
import { addCommand } from "./remote-add.ts";

export function remoteCommand(host: CommandHost): Command {
  return new Command("remote")
    .summary("the servers and other places that this machine knows")
    .description("Adds, tests, lists and removes the servers and other places that this machine knows.")
    .addCommand(addCommand(host))
    .addCommand(listCommand(host))
    .addCommand(showCommand(host))
    .addCommand(testCommand(host))
    .addCommand(renameCommand(host))
    .addCommand(allowCommand(host))
    .addCommand(removeCommand(host));
}

function listCommand(host: CommandHost): Command {
  return new Command("list")
    .alias("ls")
    .summary("list the remotes")
    .option(...STATE_OPTION)
    .action(async (flags: StateFlag, command: Command) => {
      const context = await host.context(command);
      const { out, log } = context;
      const all = await remotesFor(context, flags).list();
      if (out.machine) {
        const rows = out.rows<RemoteInfo>({ record: (remote) => remote, text: () => "" });
        await rows.push(all);
        return rows.end();
      }
      if (all.length === 0)
        return log.log("warn", "No remotes yet. Add one: pb remote add NAME INVITE or URL");
      await out.write(`${remoteTable(all)}\n`);
    });
}

function remoteTable(remotes: readonly RemoteInfo[]): string {
  const columns = ["NAME", "TYPE", "ADDRESS", "ACCESS", "PATH", "EXPIRES", "FINGERPRINT"].map((title) => ({
    title,
  }));
  const rows = remotes.map((remote) => [
    remote.name,
    remote.type,
    displayPath(remote.address),
    accessOf(remote),
    displayPath(remote.path),
    remote.expiresAt.slice(0, 10),
    remote.fingerprint.slice(0, 16),
  ]);
  return formatTable(columns, rows);
}

/** An endpoint that is no server of ours says it to nobody; of a token its own word stands here. */
function accessOf({ type, readOnly, byToken, scopes }: RemoteInfo): string {
  if (type !== "pb") return "";
  const access = readOnly ? "read" : "read, write";
  if (!byToken) return access;
  if (scopes === undefined) return "by token";
  return `by token: ${scopes.length === 0 ? "nothing" : access}`;
}

function showCommand(host: CommandHost): Command {
  return new Command("show")
    .summary("all that is known of a remote, but its secrets")
    .argument("<name>", "the remote's name")
    .option(...STATE_OPTION)
    .action(async (name: string, flags: StateFlag, command: Command) => {
      const context = await host.context(command);
      const remote = await remotesFor(context, flags).show(name);
      await context.out.record(remote, remoteText(remote));
    });
}

function remoteText({ settings, ...rest }: RemoteInfo): string {
  const lines = Object.entries({ ...rest, ...settings }).filter(
    ([, value]) => value !== "" && value !== undefined,
  );
  return lines.map(([key, value]) => `${key.padEnd(14)} ${displayPath(String(value))}`).join("\n");
}

function testCommand(host: CommandHost): Command {
  return new Command("test")
    .summary("connect to a remote and say what works")
    .argument("<name>", "the remote's name, or a folder there: NAME:PATH")
    .option("--write", "make an empty file there, too, and remove it")
    .option(...STATE_OPTION)
    .action(async (given: string, flags: StateFlag & { write?: boolean }, command: Command) => {
      const context = await host.context(command);
      const place = given.includes(":") ? parsePlace(given, context.cwd) : { remote: given, path: "/" };
      const { remote: name } = place;
      const path = place.path.replace(/^\/+|\/+$/g, "");
      const options = { path, write: flags.write === true, signal: context.signal };
      await showChecks(context, remotesFor(context, flags).test(name, options));
    });
}

function allowCommand(host: CommandHost): Command {
  return new Command("allow")
    .summary("let clients of a server use a remote of its (pb transfer --on)")
    .argument("<name>", "the remote's name")
    .argument("[client...]", "ids as `pb clients list` shows them, or *: all; none: nobody")
    .option(...STATE_OPTION)
    .action(async (name: string, clients: string[], flags: StateFlag, command: Command) => {
      const context = await host.context(command);
      const state = flags.state ?? context.server.defaultState();
      await remotesFor(context, { state }).allow(name, clients);
      const who =
        clients.length === 0 ? "Nobody" : clients.includes("*") ? "Every client" : clients.join(", ");
      context.log.log("warn", `${who} may use ${name} through this server.`);
    });
}

function renameCommand(host: CommandHost): Command {
  return new Command("rename")
    .summary("give a remote another name")
    .argument("<from>", "the remote's name")
    .argument("<to>", "its new name")
    .option(...STATE_OPTION)
    .action(async (from: string, to: string, flags: StateFlag, command: Command) => {
      const context = await host.context(command);
      const remote = await remotesFor(context, flags).rename(from, to);
      context.log.log("warn", `${from} is ${to} now.`);
      await context.out.record(remote, "");
    });
}

function removeCommand(host: CommandHost): Command {
  return new Command("remove")
    .alias("rm")
    .summary("forget a remote and its secrets")
    .argument("<name>", "the remote's name")
    .option(...STATE_OPTION)
    .action(async (name: string, flags: StateFlag, command: Command) => {
      const context = await host.context(command);
      const remote = await remotesFor(context, flags).remove(name);
      context.log.log("warn", `Removed ${name}${remote.address && ` (${displayPath(remote.address)})`}.`);
      await context.out.record(remote, "");
    });
}
