import { Command } from "commander";
import { PbError } from "../../model/error.ts";
import { dirName, displayPath } from "../../model/path.ts";
import type { CommandHost } from "../context.ts";
import { formatPlace, type Place, parsePlace, placeName, protoLocation, within } from "../words/place.ts";

export function renameCommand(host: CommandHost): Command {
  return new Command("rename")
    .summary("give a file or folder another name within its folder")
    .description("Changes a name within its folder; pb move moves elsewhere.")
    .argument("<location>", "path, REMOTE:PATH or pb://HOST:PORT/PATH")
    .argument("<name>", "the new name, without a slash")
    .option("--replace", "replace a file (or an empty folder) that has the name")
    .action(async (word: string, name: string, flags: { replace?: boolean }, command: Command) => {
      checkName(name);
      const { files, signal, out, log, cwd } = await host.context(command);
      const source = parsePlace(word, cwd);
      if (placeName(source) === "") throw new PbError("usage", `${word} is a root: it has no name to change`);
      const destination = sibling(source, name);
      await files.rename(
        {
          source: protoLocation(source),
          destination: protoLocation(destination),
          replace: flags.replace === true,
        },
        { signal },
      );
      const result = { source: formatPlace(source), destination: formatPlace(destination) };
      log.log("info", `renamed: ${displayPath(result.source)} is now ${displayPath(name)}`);
      await out.record(result, "");
    });
}

function checkName(name: string): void {
  if (name !== "" && name !== "." && name !== ".." && !name.includes("/")) return;
  throw new PbError("usage", `"${displayPath(name)}" is not a name; to move elsewhere use pb move`);
}

/** Another name in the same folder. */
function sibling(place: Place, name: string): Place {
  return within({ remote: place.remote, path: dirName(place.path) }, name);
}
