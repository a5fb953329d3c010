import { Command } from "commander";
import { Overwrite } from "../../gen/packetboat/v1/transfer_pb.ts";
import { type Entry, EntryKind } from "../../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../../model/error.ts";
import { dirName, displayPath } from "../../model/path.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { writeReceipt } from "../follow.ts";
import { toPbError } from "../rpc-error.ts";
import { addTransferOptions, onOption, type TransferFlags } from "../transfer-options.ts";
import { runTransfer } from "../transfer-run.ts";
import { expandGlobs } from "../words/glob.ts";
import { formatPlace, type Place, parsePlace, placeName, protoLocation, within } from "../words/place.ts";
import { DESTINATION_HELP, refuseSameNames, splitWords, type WantedThere, wantedThere } from "./transfer.ts";

export function moveCommand(host: CommandHost): Command {
  const command = new Command("move")
    .alias("mv")
    .summary("move files and folders: a rename within one place, else a verified transfer")
    .description(
      "Moves files and folders. Within one place that is a rename; across places a verified transfer, after which each source is removed once its copy is durable.",
    )
    .argument(
      "<location...>",
      "sources, then the destination: paths, REMOTE:PATH, pb://HOST:PORT/PATH, globs",
    )
    .usage("[options] <source...> <destination>");
  return addTransferOptions(command)
    .addOption(onOption())
    .addHelpText("after", DESTINATION_HELP)
    .action(async (given: string[], flags: TransferFlags, self: Command) => {
      const words = splitWords(given);
      const context = await host.context(self);
      if (flags.on !== undefined) {
        await moveThere(context, { ...wantedThere({ ...words, flags }, flags.on), move: true }, flags.on);
        return;
      }
      const written = words.sources.map((word) => parsePlace(word, context.cwd));
      const expanded = await expandGlobs(written, context);
      const several = expanded.globbed || expanded.places.length > 1;
      if (several) refuseSameNames(expanded.places);
      const destination = parsePlace(words.destination, context.cwd);
      const patterns = expanded.globbed ? { patterns: written } : {};
      await move(context, { sources: expanded.places, destination, several, flags, ...patterns });
    });
}

interface Moving {
  /** The sources as they were written, where globs were among them. */
  readonly patterns?: readonly Place[];
  readonly sources: readonly Place[];
  readonly destination: Place;
  readonly several: boolean;
  readonly flags: TransferFlags;
}

/** At the server `on`: within its own roots a rename there, like any other of this machine's asking; what touches its remotes is its job. */
async function moveThere(context: CliContext, wanted: WantedThere, on: string): Promise<void> {
  const asHere = (place: Place): Place => (place.remote === "" ? { ...place, remote: on } : place);
  const own = wanted.destination.remote === "" && wanted.sources.every(({ remote }) => remote === "");
  if (!own || wanted.flags.detach) {
    await runTransfer(context, wanted);
    return;
  }
  const { sources, destination, several } = wanted;
  const { on: _, ...flags } = wanted.flags;
  await move(context, { sources: sources.map(asHere), destination: asHere(destination), several, flags });
}

async function move(context: CliContext, moving: Moving): Promise<void> {
  const renamed: { source: string; destination: string }[] = [];
  const rest: Place[] = [];
  for (const source of moving.sources) {
    const target = await tryRename(context, source, moving);
    if (target) renamed.push({ source: formatPlace(source), destination: formatPlace(target) });
    else rest.push(source);
  }
  for (const { source, destination } of renamed) {
    context.log.log("info", `moved: ${displayPath(source)} is now ${displayPath(destination)}`);
  }
  if (rest.length > 0) {
    await runTransfer(context, { ...moving, sources: rest, move: true });
    return;
  }
  const record = { state: "done", transport: "rename", renamed, errors: [] };
  writeReceipt(moving.flags, context.cwd, record);
  await context.out.record(record, "");
}

/** The new place, or nothing when only a transfer does what was asked. */
async function tryRename(context: CliContext, source: Place, moving: Moving): Promise<Place | undefined> {
  const { destination, several, flags } = moving;
  if (source.remote !== destination.remote || isSelective(flags)) return undefined;
  const { files, signal } = context;
  const { entry } = await files.stat({ location: protoLocation(source) }, { signal });
  if (entry?.kind === EntryKind.DIRECTORY) refuseInside(source, destination);
  const there = await statOrNothing(context, destination, true);
  const inside = several || (there?.kind === EntryKind.DIRECTORY && entry?.kind !== EntryKind.DIRECTORY);
  const target = inside ? within(destination, placeName(source)) : destination;
  const replaced = inside ? await statOrNothing(context, target, false) : there;
  if (entry && replaced) refuseSame(source, target, isSame(entry, replaced));
  if (replaced && !mayReplace(entry, replaced, flags)) return undefined;
  try {
    await rename(context, { source, target, replace: replaced !== undefined });
    return target;
  } catch (error) {
    if (toPbError(error).code === "cross_device") return undefined;
    throw error;
  }
}

interface Renaming {
  readonly source: Place;
  readonly target: Place;
  readonly replace: boolean;
}

/** Makes the folders above the target when they are missing. */
async function rename({ files, signal }: CliContext, { source, target, replace }: Renaming): Promise<void> {
  const request = { source: protoLocation(source), destination: protoLocation(target), replace };
  try {
    await files.rename(request, { signal });
  } catch (error) {
    if (toPbError(error).code !== "not_found") throw error;
    const parent = { remote: target.remote, path: dirName(target.path) || "/" };
    await files.mkdir({ location: protoLocation(parent), parents: true }, { signal });
    await files.rename(request, { signal });
  }
}

/** Options that look at single files need a transfer. */
function isSelective(flags: TransferFlags): boolean {
  const { include, exclude, filesFrom, minSize, maxSize, minAge, maxAge, follow, dryRun, manifest } = flags;
  const bounds = [include, exclude, filesFrom, minSize, maxSize, minAge, maxAge, manifest];
  return bounds.some((value) => value !== undefined) || follow === true || dryRun === true;
}

/** A folder onto a folder merges, a policy on times or existence compares: both are transfers. A file replaces a file. */
function mayReplace(entry: Entry | undefined, replaced: Entry, flags: TransferFlags): boolean {
  const policy = flags.overwrite ?? Overwrite.IF_DIFFERENT;
  const always = policy === Overwrite.ALWAYS || policy === Overwrite.IF_DIFFERENT;
  return always && entry?.kind !== EntryKind.DIRECTORY && replaced.kind !== EntryKind.DIRECTORY;
}

/** The kernel's rename of two links to one file does nothing, and a removal of the source would lose it. */
function isSame(one: Entry, other: Entry): boolean {
  return one.inode !== 0n && one.inode === other.inode && one.device === other.device;
}

function refuseSame(source: Place, target: Place, same: boolean): void {
  if (!same && source.path !== target.path) return;
  const [from, to] = [displayPath(formatPlace(source)), displayPath(formatPlace(target))];
  throw new PbError("same_file", `${from} and ${to} are the same file`, { path: source.path });
}

function refuseInside(source: Place, destination: Place): void {
  if (!`${destination.path}/`.startsWith(`${source.path.replace(/\/$/, "")}/`)) return;
  const [from, to] = [displayPath(formatPlace(source)), displayPath(formatPlace(destination))];
  const what = source.path === destination.path ? "onto itself" : `into itself (${to})`;
  throw new PbError("same_file", `cannot move ${from} ${what}`, { path: source.path });
}

async function statOrNothing(context: CliContext, place: Place, follow: boolean): Promise<Entry | undefined> {
  try {
    return (await context.files.stat({ location: protoLocation(place), follow }, { signal: context.signal }))
      .entry;
  } catch (error) {
    if (toPbError(error).code === "not_found") return undefined;
    throw error;
  }
}
