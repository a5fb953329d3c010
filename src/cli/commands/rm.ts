import { Command } from "commander";
import { EntryKind } from "../../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../../model/error.ts";
import { displayPath, joinPath, pathText } from "../../model/path.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { confirm } from "../prompt.ts";
import { plural } from "../render/units.ts";
import { expandGlobs } from "../words/glob.ts";
import { formatPlace, type Place, parsePlace, placeName, protoLocation } from "../words/place.ts";

interface RmFlags {
  readonly recursive?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

interface Removed {
  readonly location: string;
  readonly files: number;
  readonly directories: number;
}

export function rmCommand(host: CommandHost): Command {
  return new Command("rm")
    .alias("remove")
    .summary("remove files, with -r folders and all below")
    .description(
      "Removes files, links and empty folders. With -r folders and all that is below; it asks first.",
    )
    .argument("<location...>", "path, REMOTE:PATH or pb://HOST:PORT/PATH; globs too")
    .option("-r, --recursive", "folders with all that is below")
    .option("-y, --yes", "do not ask")
    .option("-n, --dry-run", "list what would be removed; remove nothing")
    .action(async (words: string[], flags: RmFlags, command: Command) => {
      const context = await host.context(command);
      const places = words.map((word) => parsePlace(word, context.cwd));
      for (const place of places) refuseRoot(place);
      const expanded = await expandGlobs(places, context);
      if (flags.dryRun) return preview(context, expanded.places, flags.recursive === true);
      if (flags.recursive && !flags.yes) await ask(context, expanded.places);
      await remove(context, expanded.places, flags.recursive === true);
    });
}

function refuseRoot(place: Place): void {
  if (placeName(place) !== "") return;
  throw new PbError("usage", `${formatPlace(place)} is a root; name what to remove below it`, {
    path: place.path,
  });
}

async function ask(context: CliContext, places: readonly Place[]): Promise<void> {
  const [first] = places;
  const what =
    places.length === 1 && first
      ? displayPath(formatPlace(first))
      : `these ${plural(places.length, "location")}`;
  if (places.length > 1)
    for (const place of places) context.log.log("warn", `  ${displayPath(formatPlace(place))}`);
  await confirm(context, `Remove ${what} with all that is below?`, "--yes");
}

async function remove(context: CliContext, places: readonly Place[], recursive: boolean): Promise<void> {
  const { files, signal, out, log } = context;
  const rows = out.rows<Removed>({ record: (row) => row, text: () => "" });
  for (const place of places) {
    const location = formatPlace(place);
    const reply = await files.remove({ location: protoLocation(place), recursive }, { signal });
    const removed = { location, files: Number(reply.files), directories: Number(reply.directories) };
    const counts = `${plural(removed.files, "file")}, ${plural(removed.directories, "folder")}`;
    log.log("info", `removed: ${displayPath(location)} (${counts})`);
    if (out.machine) await rows.push([removed]);
  }
  if (out.machine) await rows.end();
}

/** What would go, a folder after its content is not promised: the order is that of the listing. */
async function preview(context: CliContext, places: readonly Place[], recursive: boolean): Promise<void> {
  const { files, signal, out } = context;
  const rows = out.rows<{ action: string; location: string }>({
    record: (row) => row,
    text: ({ location }) => `would remove ${displayPath(location)}`,
  });
  for (const place of places) {
    const location = protoLocation(place);
    const { entry } = await files.stat({ location }, { signal });
    await rows.push([{ action: "remove", location: formatPlace(place) }]);
    if (entry?.kind !== EntryKind.DIRECTORY || !recursive) continue;
    for await (const batch of files.list({ location, recursive: true, namesOnly: true }, { signal })) {
      await rows.push(
        batch.entries.map((below) => ({
          action: "remove",
          location: formatPlace({ remote: place.remote, path: joinPath(place.path, pathText(below.path)) }),
        })),
      );
    }
  }
  await rows.end();
}
