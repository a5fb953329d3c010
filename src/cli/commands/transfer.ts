import { Command, Option } from "commander";
import { PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";
import { readBatch, runBatch } from "../batch.ts";
import type { CliContext, CommandHost } from "../context.ts";
import {
  addTransferOptions,
  discardOption,
  JOB_GROUP,
  onOption,
  type TransferFlags,
} from "../transfer-options.ts";
import { runTransfer, type Wanted } from "../transfer-run.ts";
import { expandGlobs } from "../words/glob.ts";
import {
  formatPlace,
  type Place,
  parsePlace,
  parsePlaceOrStream,
  parsePlaceThere,
  placeName,
} from "../words/place.ts";

/** Said in the help of transfer and of move. */
export const DESTINATION_HELP = `
Where things arrive:
  a folder         its contents go inside DESTINATION
  one file         inside DESTINATION if that is a folder, else DESTINATION is its new name
  several or globs each inside DESTINATION, under its own name
Missing folders are made. A slash at the end changes nothing.`;

const EXAMPLES = `
Examples:
  pb transfer ./photos box:/backup/photos
  pb transfer box:/logs/today.gz .
  pb transfer 'box:/logs/*.gz' ./logs --max-age 7d
  pb transfer ./src box:/src --exclude node_modules --exclude '*.o'
  tar c . | pb transfer - box:/backup/all.tar
  pb transfer --detach --label nightly ./photos box:/photos
  pb transfer --batch list.txt`;

export function transferCommand(host: CommandHost): Command {
  const command = new Command("transfer")
    .alias("cp")
    .summary("copy files and folders, verified")
    .description("Copies files and folders between this machine and remotes; each is verified by BLAKE3.")
    .argument(
      "[location...]",
      "sources, then the destination: paths, REMOTE:PATH, pb://HOST:PORT/PATH, globs, or -",
    )
    .usage("[options] <source...> <destination>");
  return addTransferOptions(command)
    .addOption(
      new Option(
        "--batch <file>",
        "a transfer a line, quoted as in a shell, # for notes; -: standard input",
      ).helpGroup(JOB_GROUP),
    )
    .addOption(discardOption())
    .addOption(onOption())
    .addHelpText("after", `${DESTINATION_HELP}\n${EXAMPLES}`)
    .action(async (words: string[], flags: TransferCommandFlags, self: Command) => {
      if (flags.batch !== undefined) return transferBatch(host, self, { words, flags, file: flags.batch });
      const { sources, destination } = splitWords(words);
      const context = await host.context(self);
      await runTransfer(context, await wantedTransfer(context, { sources, destination, flags }));
    });
}

interface TransferCommandFlags extends TransferFlags {
  readonly batch?: string;
}

async function transferBatch(
  host: CommandHost,
  self: Command,
  given: { readonly words: readonly string[]; readonly flags: TransferFlags; readonly file: string },
): Promise<void> {
  const { words, flags, file } = given;
  if (words.length > 0)
    throw new PbError("usage", "--batch FILE names the sources and destinations: no others");
  const alone = ["detach", "dryRun", "receipt", "manifest", "trace"] as const;
  const wrong = alone.find((name) => flags[name] !== undefined);
  if (wrong) {
    const flag = wrong === "dryRun" ? "--dry-run" : `--${wrong}`;
    throw new PbError("usage", `${flag} is for one transfer, not for a batch`, { peer: flag });
  }
  const lines = readBatch(file, host.shell(self).cwd);
  await runBatch(await host.context(self), lines, async (context, line) => {
    const wanted = await wantedTransfer(context, { ...splitWords(line.words), flags });
    return runTransfer(context, { ...wanted, silent: true });
  });
}

/** The last word is the destination. */
export function splitWords(words: readonly string[]): {
  readonly sources: readonly string[];
  readonly destination: string;
} {
  const destination = words.at(-1);
  if (words.length < 2 || destination === undefined) {
    throw new PbError("usage", "name at least one source and the destination");
  }
  return { sources: words.slice(0, -1), destination };
}

interface Words {
  readonly sources: readonly string[];
  readonly destination: string;
  readonly flags: TransferFlags;
}

async function wantedTransfer(context: CliContext, { sources, destination, flags }: Words): Promise<Wanted> {
  if (flags.on !== undefined) return wantedThere({ sources, destination, flags }, flags.on);
  const { cwd } = context;
  const target = parsePlaceOrStream(destination, cwd);
  if (sources.includes("-")) {
    if (sources.length > 1) throw new PbError("usage", "standard input (-) must be the only source");
    if (flags.filesFrom === "-")
      throw new PbError("usage", "standard input is the source; --files-from needs a file");
    return { sources: "-", destination: target, several: false, move: false, flags };
  }
  const expanded = await expandGlobs(
    sources.map((word) => parsePlace(word, cwd)),
    context,
  );
  const several = expanded.globbed || expanded.places.length > 1;
  if (target === "-" && expanded.places.length > 1) {
    throw new PbError("usage", "standard output (-) takes one file; name one source");
  }
  if (several) refuseSameNames(expanded.places);
  return {
    sources: expanded.places,
    destination: target,
    several: several && target !== "-",
    move: false,
    flags,
    ...(expanded.globbed && { patterns: sources.map((word) => parsePlace(word, cwd)) }),
  };
}

export interface WantedThere extends Wanted {
  readonly sources: readonly Place[];
  readonly destination: Place;
}

/** At a server: it expands no patterns. */
export function wantedThere({ sources, destination, flags }: Words, on: string): WantedThere {
  const places = sources.map((word) => parsePlaceThere(word, on));
  const several = places.length > 1;
  if (several) refuseSameNames(places);
  return { sources: places, destination: parsePlaceThere(destination, on), several, move: false, flags };
}

/** Two that would arrive under one name: the second would replace the first. */
export function refuseSameNames(places: readonly Place[]): void {
  const seen = new Map<string, Place>();
  for (const place of places) {
    const name = placeName(place);
    const other = seen.get(name);
    if (other) {
      throw new PbError(
        "usage",
        `${displayPath(formatPlace(other))} and ${displayPath(formatPlace(place))} would both arrive as ${displayPath(name)}`,
        { hint: "Transfer them one by one, or transfer the folder above them." },
      );
    }
    seen.set(name, place);
  }
}
