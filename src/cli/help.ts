import { Command } from "commander";
import { PbError } from "../model/error.ts";
import { displayPath } from "../model/path.ts";
import { mostSimilar } from "../model/similar.ts";

/** `pb help remote add` and `pb remote help add` are `pb remote add --help`. Commander's own knows one word, and not whether it is a command's. */
export function helpCommand(): Command {
  return new Command("help")
    .summary("show the help of a command")
    .argument("[command...]", "its name, and those of commands below it")
    .action((words: string[], _flags: object, self: Command) => {
      let found = self.parent ?? self;
      for (const word of words) found = below(found, word);
      found.outputHelp();
    });
}

/** @throws PbError `usage` */
function below(command: Command, word: string): Command {
  const names = (each: Command) => [each.name(), ...each.aliases()];
  const found = command.commands.find((each) => names(each).includes(word));
  if (found) return found;
  const path = pathOf(command);
  const similar = mostSimilar(word, command.commands.flatMap(names));
  throw new PbError("usage", `${path} has no command ${displayPath(word)}`, {
    hint: similar === undefined ? `${path} --help says what there is` : `did you mean ${similar}?`,
  });
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
