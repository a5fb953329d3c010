import { Command } from "commander";
import type { CommandHost } from "../context.ts";
import { showChecks } from "../render/check.ts";

export function doctorCommand(host: CommandHost): Command {
  return new Command("doctor")
    .summary("check this machine, and the way to a remote")
    .description(
      "Checks this machine, and with a remote's name the way there. Says for each what to do about it.",
    )
    .argument("[remote]", "a remote's name, or host:port of one")
    .action(async (remote: string | undefined, _flags: object, command: Command) => {
      const context = await host.context(command);
      const { doctor, signal } = context;
      const named = remote && { remote: remote.replace(/:\/?$/, "") };
      await showChecks(context, doctor.check({ signal, ...named }));
    });
}
