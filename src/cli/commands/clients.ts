import { resolve } from "node:path";
import { Command } from "commander";
import type { ClientInfo } from "../../model/actions.ts";
import { displayPath } from "../../model/path.ts";
import type { CommandHost } from "../context.ts";
import { formatTable } from "../render/text.ts";

interface ClientsFlags {
  readonly state?: string;
}

export function clientsCommand(host: CommandHost): Command {
  return new Command("clients")
    .summary("who may use this server")
    .description("Lists and revokes the clients of this server. Run it where the server's state is.")
    .addCommand(listCommand(host))
    .addCommand(revokeCommand(host));
}

const stateOf = ({ state }: ClientsFlags, cwd: string) =>
  state === undefined ? undefined : resolve(cwd, state);

function listCommand(host: CommandHost): Command {
  return new Command("list")
    .alias("ls")
    .summary("list the clients")
    .option("--state <dir>", "the server's state folder")
    .action(async (flags: ClientsFlags, command: Command) => {
      const { server, out, log, cwd } = await host.context(command);
      const clients = await server.clients(stateOf(flags, cwd));
      if (out.machine) {
        const rows = out.rows<ClientInfo>({ record: (client) => client, text: () => "" });
        await rows.push(clients);
        return rows.end();
      }
      if (clients.length === 0) return log.log("warn", "No clients yet. Invite one: pb invite");
      await out.write(`${clientTable(clients)}\n`);
    });
}

function clientTable(clients: readonly ClientInfo[]): string {
  const columns = ["ID", "NAME", "ACCESS", "PATH", "ENROLLED", "LAST SEEN", "STATE"].map((title) => ({
    title,
  }));
  const rows = clients.map((client) => [
    client.id,
    displayPath(client.name),
    client.readOnly ? "read" : "read, write",
    displayPath(client.path),
    client.enrolledAt.slice(0, 10),
    client.lastSeenAt.slice(0, 16).replace("T", " ") || "never",
    client.revoked ? "revoked" : Date.parse(client.expiresAt) < Date.now() ? "expired" : "ok",
  ]);
  return formatTable(columns, rows);
}

function revokeCommand(host: CommandHost): Command {
  return new Command("revoke")
    .summary("shut a client out, at once")
    .argument("<id>", "as `pb clients list` shows it")
    .option("--state <dir>", "the server's state folder")
    .action(async (id: string, flags: ClientsFlags, command: Command) => {
      const { server, out, log, cwd } = await host.context(command);
      const client = await server.revoke(id, stateOf(flags, cwd));
      log.log("warn", `Revoked ${client.id} (${displayPath(client.name)}).`);
      await out.record(client, "");
    });
}
