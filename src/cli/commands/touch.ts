import { Command, Option } from "commander";
import { displayPath } from "../../model/path.ts";
import type { CommandHost } from "../context.ts";
import { parseMoment } from "../words/duration.ts";
import { formatPlace, parsePlace, protoLocation } from "../words/place.ts";

interface TouchFlags {
  readonly mtime?: bigint;
  readonly create: boolean;
}

export function touchCommand(host: CommandHost): Command {
  return new Command("touch")
    .summary("make an empty file, or set a time")
    .description("Sets the modification time, of files and folders; makes an empty file where there is none.")
    .argument("<location...>", "path, REMOTE:PATH or pb://HOST:PORT/PATH")
    .addOption(
      new Option(
        "--mtime <time>",
        "ISO 8601 or @SECONDS since 1970, to the nanosecond; default: now",
      ).argParser((text) => parseMoment(text, "--mtime")),
    )
    .option("--no-create", "fail where there is nothing")
    .action(async (words: string[], flags: TouchFlags, command: Command) => {
      const { files, signal, out, log, cwd } = await host.context(command);
      const rows = out.rows<{ location: string }>({ record: (row) => row, text: () => "" });
      for (const place of words.map((word) => parsePlace(word, cwd))) {
        const location = formatPlace(place);
        await files.touch(
          {
            location: protoLocation(place),
            noCreate: !flags.create,
            ...(flags.mtime !== undefined && { mtimeNs: flags.mtime }),
          },
          { signal },
        );
        log.log("info", `touched: ${displayPath(location)}`);
        if (out.machine) await rows.push([{ location }]);
      }
      if (out.machine) await rows.end();
    });
}
