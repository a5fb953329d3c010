/** Asks on the terminal for what a remote needs. */

import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import type { CANCEL_SYMBOL } from "@clack/prompts";
import { ENDPOINT_KINDS, type EndpointKind, Secret, type Setting } from "../model/endpoint.ts";
import { KINDS, problemOf, type SettingSpec } from "../model/endpoint-kinds.ts";
import { PbError } from "../model/error.ts";
import type { Shell } from "./context.ts";
import { untilInputEnds } from "./prompt.ts";
import { settingOf, type Wish } from "./words/setting.ts";

export interface Answers extends Wish {
  readonly secrets: ReadonlyMap<string, Secret>;
}

/** A Packetboat server is added by the invite that its owner has made. */
export interface Invited {
  readonly invite: Secret;
}

type Clack = typeof import("@clack/prompts");

const NOTHING = "(empty: none)";

/** @param known is not asked for again. @throws PbError `aborted` when the person leaves */
export async function askForRemote(
  shell: Shell,
  known: Partial<Wish> & { readonly secrets: ReadonlyMap<string, Secret> },
): Promise<Answers | Invited> {
  using asking = untilInputEnds(shell.terminal.stdin, shell.signal);
  const questions = new Questions({ ...shell, signal: asking.signal }, await import("@clack/prompts"));
  const kind = known.kind ?? (await questions.kind());
  if (kind === "pb") return { invite: await questions.invite() };
  const settings: Record<string, Setting> = { ...known.settings };
  await questions.settings(kind, settings);
  const secrets = new Map(known.secrets);
  // Who signs nothing, or has the keys elsewhere, has none to give.
  if (settings.anonymous !== true && settings.profile === undefined) await questions.secrets(kind, secrets);
  return { kind, settings, secrets };
}

class Questions {
  readonly #clack: Clack;
  readonly #cwd: string;
  readonly #common: Pick<Parameters<Clack["text"]>[0], "input" | "output" | "signal">;

  constructor({ terminal, signal, cwd }: Shell, clack: Clack) {
    this.#clack = clack;
    this.#cwd = cwd;
    this.#common = { input: terminal.stdin, output: terminal.stderr, signal };
  }

  async kind(): Promise<EndpointKind> {
    // People look for ours first.
    const kinds = ["pb" as const, ...ENDPOINT_KINDS.filter((kind) => kind !== "pb")];
    const options = kinds.map((value) => ({
      value,
      label: value,
      hint: value === "pb" ? "a Packetboat server, by its invite" : KINDS[value].about,
    }));
    const message = "What kind of place is it?";
    return this.#given(await this.#clack.select<EndpointKind>({ ...this.#common, message, options }));
  }

  /** It enrols whoever has it: not shown. */
  async invite(): Promise<Secret> {
    const message = "Invite (the server's owner makes one: pb invite)";
    const validate = (text: string | undefined) =>
      /^\s*pb1:\S+\s*$/i.test(text ?? "") ? undefined : "an invite begins with pb1:";
    return new Secret(this.#given(await this.#clack.password({ ...this.#common, message, validate })).trim());
  }

  /** Adds to `settings` what they do not have yet. */
  async settings(kind: EndpointKind, settings: Record<string, Setting>): Promise<void> {
    const open = KINDS[kind].settings.filter(({ name }) => settings[name] === undefined);
    const rare = open.filter((spec) => spec.rare);
    for (const spec of open.filter((each) => !each.rare)) await this.#take(spec, settings);
    if (rare.length === 0) return;
    const message = `Settings that most do without: ${rare.map(({ name }) => name).join(", ")}?`;
    const wanted = await this.#clack.confirm({ ...this.#common, message, initialValue: false });
    if (!this.#given(wanted)) return;
    for (const spec of rare) await this.#take(spec, settings);
  }

  async secrets(kind: EndpointKind, secrets: Map<string, Secret>): Promise<void> {
    for (const { name, about, multiline } of KINDS[kind].secrets) {
      if (secrets.has(name)) continue;
      const answer = multiline ? await this.#secretOfFile(about) : await this.#typedSecret(about);
      if (answer) secrets.set(name, new Secret(answer));
    }
  }

  /** What is as it would be without a word is not stored. */
  async #take(spec: SettingSpec, settings: Record<string, Setting>): Promise<void> {
    const initial = spec.initial ?? (spec.type === "boolean" ? false : undefined);
    const answer = await this.#ask(spec);
    if (answer !== undefined && answer !== initial) settings[spec.name] = answer;
  }

  async #ask(spec: SettingSpec): Promise<Setting | undefined> {
    const { name, about, type, choices, required, initial } = spec;
    const asked = { ...this.#common, message: about.startsWith(name) ? about : `${name}: ${about}` };
    if (type === "boolean") {
      return this.#given(await this.#clack.confirm({ ...asked, initialValue: initial === true }));
    }
    if (choices) {
      const options = choices.map((value) => ({ value, label: value }));
      const initialValue = String(initial ?? choices[0]);
      return this.#given(await this.#clack.select<string>({ ...asked, options, initialValue }));
    }
    const validate = (given: string | undefined) => {
      if (!given) return required ? "this is needed" : undefined;
      return problemOf(spec, given);
    };
    const text = this.#given(await this.#clack.text({ ...asked, validate }));
    return text ? settingOf(spec, text) : undefined;
  }

  async #typedSecret(about: string): Promise<string> {
    return this.#given(await this.#clack.password({ ...this.#common, message: `${about} ${NOTHING}` })) ?? "";
  }

  async #secretOfFile(about: string): Promise<string> {
    const message = `${about}: a file to take it from ${NOTHING}`;
    const at = (file: string) => resolve(this.#cwd, file.replace(/^~(?=\/)/, homedir()));
    const validate = (file: string | undefined) => {
      try {
        if (file) readFileSync(at(file));
      } catch (cause) {
        return `cannot be read: ${(cause as Error).message}`;
      }
      return undefined;
    };
    const file = this.#given(await this.#clack.text({ ...this.#common, message, validate }));
    return file ? readFileSync(at(file), "utf8") : "";
  }

  #given<T>(answer: T | typeof CANCEL_SYMBOL): T {
    if (!this.#clack.isCancel(answer)) return answer as T;
    throw new PbError("aborted", "nothing was added");
  }
}
