import { Command, Option } from "commander";
import { PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";
import { fromConnectError } from "../../wire/connect.ts";
import type { CommandHost } from "../context.ts";
import { formatPlace, parsePlace, protoLocation } from "../words/place.ts";

interface MkdirFlags {
  readonly parents?: boolean;
  readonly mode?: number;
}

export function mkdirCommand(host: CommandHost): Command {
  return new Command("mkdir")
    .summary("make a folder")
    .description("Makes folders, here or on a remote.")
    .argument("<location...>", "path, REMOTE:PATH or pb://HOST:PORT/PATH")
    .option("-p, --parents", "make what is missing above, accept a folder that is there")
    .addOption(new Option("-m, --mode <octal>", "permission bits, for example 0750").argParser(parseMode))
    .action(async (words: string[], flags: MkdirFlags, command: Command) => {
      const { files, signal, out, log, cwd } = await host.context(command);
      const rows = out.rows<{ location: string; created: boolean }>({ record: (row) => row, text: () => "" });
      for (const place of words.map((word) => parsePlace(word, cwd))) {
        const location = formatPlace(place);
        const request = {
          location: protoLocation(place),
          parents: flags.parents === true,
          mode: flags.mode ?? 0,
        };
        const { created } = await files.mkdir(request, { signal }).catch((cause: unknown) => {
          throw flags.parents === true ? cause : withParents(fromConnectError(cause));
        });
        log.log("info", `${created ? "made" : "is there"}: ${displayPath(location)}`);
        if (out.machine) await rows.push([{ location, created }]);
      }
      if (out.machine) await rows.end();
    });
}

/** Nothing is missing but what is above. */
function withParents(error: PbError): PbError {
  if (error.code !== "not_found" || error.hint !== undefined) return error;
  return error.about({ hint: "a folder above it is missing: --parents makes it, too" });
}

function parseMode(text: string): number {
  if (/^[0-7]{3,4}$/.test(text) && Number.parseInt(text, 8) > 0) return Number.parseInt(text, 8);
  throw new PbError("usage", `--mode: "${text}" is not an octal mode such as 0750`, { peer: "--mode" });
}
