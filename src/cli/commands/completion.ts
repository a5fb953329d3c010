import { Argument, Command, type Option } from "commander";
import { EntryKind } from "../../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../../model/error.ts";
import { displayPath, pathText } from "../../model/path.ts";
import { completionScript, SHELLS } from "../completion-scripts.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { parseChoice } from "../words/number.ts";
import { parsePlace, protoLocation } from "../words/place.ts";

const INSTALL = `
To use it:
  bash  pb completion bash > ~/.local/share/bash-completion/completions/pb
  zsh   pb completion zsh > "\${fpath[1]}/_pb"
  fish  pb completion fish > ~/.config/fish/completions/pb.fish`;

export function completionCommand(host: CommandHost): Command {
  return new Command("completion")
    .summary("print a script that completes words in your shell")
    .description("Prints a script that completes commands, options, remotes, and paths here and on remotes.")
    .addArgument(
      new Argument("<shell>", "the shell")
        .choices(SHELLS)
        .argParser((text) => parseChoice(text, "shell", SHELLS)),
    )
    .addHelpText("after", INSTALL)
    .action(async (shell: (typeof SHELLS)[number], _flags: object, command: Command) => {
      await host.shell(command).out.write(completionScript(shell));
    });
}

/** What the scripts call: candidates, a tab and a description, a line each; then a line that starts with ":". */
export function completeCommand(host: CommandHost): Command {
  return new Command("__complete")
    .argument("[words...]", "what is on the line after pb; the last is the one to complete")
    .action(async (words: string[], _flags: object, command: Command) => {
      const root = command.parent;
      if (!root) throw new PbError("internal", "__complete without a program");
      const offer = offerFor(root, words);
      const shell = host.shell(command);
      const found = offer.places ? await places(host, command, offer) : offer.candidates;
      const lines = found.filter(({ word }) => word.startsWith(offer.current));
      await shell.out.write(lines.map(({ word, about }) => `${word}\t${about}\n`).join(""));
      await shell.out.write(
        offer.places === "locations" && !offer.current.includes(":") ? ":files\n" : ":\n",
      );
    });
}

interface Candidate {
  readonly word: string;
  readonly about: string;
}

interface Offer {
  readonly current: string;
  readonly candidates: readonly Candidate[];
  /** What the services know must be offered, too. */
  readonly places?: "locations" | "remotes" | "jobs";
}

/** What fits at the end of the words, as far as the command tree knows. */
function offerFor(root: Command, words: readonly string[]): Offer {
  const current = words.at(-1) ?? "";
  const { command, pending } = descend(root, words.slice(0, -1));
  if (pending) return valueOffer(pending, current);
  if (current.startsWith("-"))
    return { current, candidates: command.options.filter((o) => !o.hidden).map(flag) };
  const isOffered = (name: string) => !name.startsWith("__") && (command === root || name !== "help");
  const names = command.commands.filter((child) => isOffered(child.name()));
  if (names.length > 0) {
    return { current, candidates: names.map((child) => ({ word: child.name(), about: child.summary() })) };
  }
  return argumentOffer(command, current);
}

/** The command that the words lead to, and the option that waits for its value. */
function descend(root: Command, words: readonly string[]): { command: Command; pending: Option | undefined } {
  let command = root;
  let pending: Option | undefined;
  for (const word of words) {
    if (pending) {
      pending = undefined;
      continue;
    }
    if (word.startsWith("-")) {
      const option = command.options.find((each) => each.long === word || each.short === word);
      pending = option?.required ? option : undefined;
      continue;
    }
    command =
      command.commands.find((child) => child.name() === word || child.aliases().includes(word)) ?? command;
  }
  return { command, pending };
}

function flag(option: Option): Candidate {
  return { word: option.long ?? option.short ?? "", about: option.description };
}

function valueOffer(option: Option, current: string): Offer {
  const candidates = (option.argChoices ?? []).map((word) => ({ word, about: "" }));
  return candidates.length > 0 ? { current, candidates } : { current, candidates, places: "locations" };
}

function argumentOffer(command: Command, current: string): Offer {
  const [argument] = command.registeredArguments;
  if (argument?.argChoices) {
    return { current, candidates: argument.argChoices.map((word) => ({ word, about: "" })) };
  }
  if (argument?.name() === "location") return { current, candidates: [], places: "locations" };
  if (argument?.name() === "job") return { current, candidates: [], places: "jobs" };
  const remotes = argument?.name() === "remote" || command.parent?.name() === "remote";
  return remotes ? { current, candidates: [], places: "remotes" } : { current, candidates: [] };
}

/** Somebody waits with a finger on TAB. */
const LOOK_UP_MS = 2000;

async function places(host: CommandHost, command: Command, offer: Offer): Promise<readonly Candidate[]> {
  try {
    const context = await host.context(command);
    if (offer.places === "locations" && offer.current.includes(":"))
      return await below(context, offer.current);
    if (offer.places === "jobs") return await jobs(context);
    const colon = offer.places === "locations" ? ":" : "";
    return (await context.remotes.list()).map(({ name, address }) => ({
      word: name + colon,
      about: address,
    }));
  } catch {
    // A completion that fails says nothing: the command itself will.
    return [];
  }
}

/** Ids as short as lists show them; what a person knows a job by is beside it. */
async function jobs(context: CliContext): Promise<Candidate[]> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(LOOK_UP_MS)]);
  const found = await context.jobs.listJobs({}, { signal });
  return found.jobs.map(({ id, state, label, source, destination }) => ({
    word: id.slice(0, 8),
    about: displayPath(`${state}  ${label === "" ? `${source} → ${destination}` : label}`),
  }));
}

async function below(context: CliContext, current: string): Promise<Candidate[]> {
  const folder = current.slice(0, Math.max(current.lastIndexOf("/"), current.indexOf(":")) + 1);
  const place = parsePlace(folder, context.cwd);
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(LOOK_UP_MS)]);
  const found: Candidate[] = [];
  const request = { location: protoLocation(place), namesOnly: true };
  for await (const { entries } of context.files.list(request, { signal })) {
    for (const entry of entries) {
      const name = pathText(entry.path);
      // A name that a shell cannot show is typed by hand.
      if (displayPath(name) !== name) continue;
      const slash = folder.endsWith("/") ? "" : "/";
      found.push({
        word: `${folder}${slash}${name}${entry.kind === EntryKind.DIRECTORY ? "/" : ""}`,
        about: "",
      });
    }
  }
  return found;
}
