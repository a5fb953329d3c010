import { Command } from "commander";
import type { CommandHost } from "../context.ts";

export function versionCommand(host: CommandHost): Command {
  return new Command("version")
    .summary("show the version")
    .action((_flags: object, command: Command) => showVersion(host, command));
}

/** Also what `pb --version` does. */
export async function showVersion(host: CommandHost, command: Command): Promise<void> {
  const { out, version } = host.shell(command);
  const { node } = process.versions;
  const platform = `${process.platform}-${process.arch}`;
  await out.record({ version, node, platform }, `pb ${version} (node ${node}, ${platform})`);
}
