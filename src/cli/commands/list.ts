import { Command, Option } from "commander";
import type { ListResponse } from "../../gen/packetboat/v1/file_pb.ts";
import type { Entry } from "../../gen/packetboat/v1/types_pb.ts";
import { EXIT } from "../../model/exit.ts";
import { pathText } from "../../model/path.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { entryRecord, longLine, shortLine } from "../entry-view.ts";
import type { Rows } from "../output.ts";
import { errorText } from "../report.ts";
import { errorFromInfo, toPbError } from "../rpc-error.ts";
import { expandGlobs } from "../words/glob.ts";
import { parseCount } from "../words/number.ts";
import { type Place, parsePlace, placeName, protoLocation } from "../words/place.ts";

interface ListFlags {
  readonly long?: boolean;
  readonly human?: boolean;
  readonly recursive?: boolean;
  readonly depth?: number;
  readonly follow?: boolean;
}

export function listCommand(host: CommandHost): Command {
  return new Command("list")
    .alias("ls")
    .summary("list a folder")
    .description("Lists folders, here or on a remote. Quote globs for a remote: pb ls 'box:/logs/*.gz'.")
    .argument("[location...]", "path, REMOTE:PATH or pb://HOST:PORT/PATH; default: this folder")
    .option("-l, --long", "mode, size, time and name")
    .option("-h, --human", "sizes as 12.4M in the long form")
    .option("-R, --recursive", "all that is below, too")
    .addOption(
      new Option("--depth <n>", "at most so many levels; implies -R").argParser((text) =>
        parseCount(text, "--depth", { min: 1, max: 4096 }),
      ),
    )
    .option("-L, --follow", "show what links point to")
    .helpOption("--help", "show this help")
    .action(async (words: string[], flags: ListFlags, command: Command) => {
      const context = await host.context(command);
      await list(context, words.length === 0 ? ["."] : words, flags);
    });
}

interface Listed {
  readonly entry: Entry;
  readonly path: string;
}

async function list(context: CliContext, words: readonly string[], flags: ListFlags): Promise<void> {
  const { out } = context;
  const places = words.map((word) => parsePlace(word, context.cwd));
  const expanded = await expandGlobs(places, context);
  const look = { human: flags.human === true, colors: out.colors };
  const rows = out.rows<Listed>({
    record: ({ entry, path }) => entryRecord(entry, path),
    text: ({ entry, path }) =>
      flags.long ? longLine(entry, path, look) : shortLine(entry, path, out.colors),
  });
  // As in ls: what a glob or several words name is shown with its name in front.
  const several = expanded.globbed || expanded.places.length > 1;
  for (const place of expanded.places) {
    await listOne(context, { place, prefix: several ? placeName(place) : "", flags, rows });
  }
  await rows.end();
}

interface One {
  readonly place: Place;
  readonly prefix: string;
  readonly flags: ListFlags;
  readonly rows: Rows<Listed>;
}

async function listOne(context: CliContext, { place, prefix, flags, rows }: One): Promise<void> {
  const request = {
    location: protoLocation(place),
    recursive: flags.recursive === true || flags.depth !== undefined,
    maxDepth: flags.depth ?? 0,
    follow: flags.follow === true,
    namesOnly: !flags.long && !context.out.machine,
  };
  const name = (path: string) =>
    path === "" ? placeName(place) : prefix === "" ? path : `${prefix}/${path}`;
  try {
    for await (const batch of context.files.list(request, { signal: context.signal })) {
      await rows.push(batch.entries.map((entry) => ({ entry, path: name(pathText(entry.path)) })));
      reportUnreadable(context, batch);
    }
  } catch (error) {
    if (toPbError(error).code !== "not_a_directory") throw error;
    const { entry } = await context.files.stat(
      { location: request.location, follow: request.follow },
      { signal: context.signal },
    );
    if (entry) await rows.push([{ entry, path: placeName(place) }]);
  }
}

function reportUnreadable({ log, setExitCode }: CliContext, batch: ListResponse): void {
  for (const info of batch.errors) {
    const error = errorFromInfo(info);
    log.log("error", `pb: ${errorText(error)}`, { fields: { code: error.code, path: error.path } });
    setExitCode(EXIT.partial);
  }
}
