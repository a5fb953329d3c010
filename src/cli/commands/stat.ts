import { Command } from "commander";
import type { Entry } from "../../gen/packetboat/v1/types_pb.ts";
import { EntryKind } from "../../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../../model/error.ts";
import { displayPath, pathText } from "../../model/path.ts";
import type { CommandHost } from "../context.ts";
import { entryRecord, isoNs, isTimeUnknown, kindName, modeText, octal } from "../entry-view.ts";
import { formatTable } from "../render/text.ts";
import { formatBytes, formatCount } from "../render/units.ts";
import { expandGlobs } from "../words/glob.ts";
import { formatPlace, parsePlace, protoLocation } from "../words/place.ts";

interface Found {
  readonly entry: Entry;
  readonly location: string;
}

export function statCommand(host: CommandHost): Command {
  return new Command("stat")
    .summary("show what is known of a file or folder")
    .description(
      "Shows kind, size, times, mode and owner. With -o json: an object for one location, else a list.",
    )
    .argument("<location...>", "path, REMOTE:PATH or pb://HOST:PORT/PATH")
    .option("-L, --follow", "of a link: what it points to")
    .action(async (words: string[], flags: { follow?: boolean }, command: Command) => {
      const context = await host.context(command);
      const { files, signal, out } = context;
      const places = words.map((word) => parsePlace(word, context.cwd));
      const expanded = await expandGlobs(places, context);
      const found: Found[] = [];
      for (const place of expanded.places) {
        const reply = await files.stat(
          { location: protoLocation(place), follow: flags.follow === true },
          { signal },
        );
        if (!reply.entry)
          throw new PbError("protocol_violation", "the service gave no entry", { path: place.path });
        found.push({ entry: reply.entry, location: formatPlace(place) });
      }
      const [only] = found;
      if (found.length === 1 && only && !expanded.globbed) return out.record(record(only), table(only));
      const rows = out.rows<Found>({ record, text: (row) => `${table(row)}\n` });
      await rows.push(found);
      await rows.end();
    });
}

function record({ entry, location }: Found): Record<string, unknown> {
  const { path: _, ...rest } = entryRecord(entry, "");
  return { location, ...rest };
}

/** Of what the endpoint does not keep. */
const UNTOLD = "-";

function table({ entry, location }: Found): string {
  const bytes = Number(entry.size);
  const rows = [
    ["location", displayPath(location)],
    ["kind", kindName(entry.kind)],
    ["size", bytes < 1000 ? `${bytes} bytes` : `${formatCount(bytes)} bytes (${formatBytes(bytes)})`],
    ["modified", isTimeUnknown(entry) ? UNTOLD : isoNs(entry.mtimeNs)],
    ["mode", entry.modeUnknown ? UNTOLD : `${octal(entry.mode)} (${modeText(entry)})`],
    ["owner", entry.ownerUnknown ? UNTOLD : `${entry.uid}:${entry.gid}`],
  ];
  if (entry.kind === EntryKind.SYMLINK) rows.push(["target", displayPath(pathText(entry.linkTarget))]);
  return formatTable([{ title: "" }, { title: "" }], rows);
}
