import { resolve } from "node:path";
import { Command, Option } from "commander";
import type { CommandHost } from "../context.ts";
import { parseCount } from "../words/number.ts";
import { parseSize } from "../words/size.ts";

interface DemoFlags {
  readonly size?: number;
  readonly files?: number;
  readonly dir?: string;
}

const DEFAULT_BYTES = 1024 ** 3;
const DEFAULT_FILES = 2000;

export function demoCommand(host: CommandHost): Command {
  return new Command("demo")
    .summary("see it work: two servers on this machine, transfers up and down, all compared")
    .description(
      "Starts two servers on loopback in a temporary folder, moves a large file and a tree of small files up and down, compares every byte, prints the receipts, and removes what it made.",
    )
    .addOption(
      new Option("--size <size>", "of the large file; default: 1G").argParser((text) =>
        parseSize(text, "--size"),
      ),
    )
    .addOption(
      new Option("--files <n>", "how many small files; default: 2000").argParser((text) =>
        parseCount(text, "--files", { min: 1, max: 1_000_000 }),
      ),
    )
    .option("--dir <folder>", "where the temporary folder is made; default: TMPDIR")
    .action(async (flags: DemoFlags, command: Command) => {
      const shell = host.shell(command);
      const { runDemo } = await import("../demo/demo.ts");
      await runDemo(shell, {
        bytes: flags.size ?? DEFAULT_BYTES,
        files: flags.files ?? DEFAULT_FILES,
        ...(flags.dir !== undefined && { parent: resolve(shell.cwd, flags.dir) }),
      });
    });
}
