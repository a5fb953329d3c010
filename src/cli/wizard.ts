/** Asks on the terminal for what a remote needs. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { ENDPOINT_KINDS, type EndpointKind, Secret, type Setting } from "../model/endpoint.ts";
import { KINDS, type SettingSpec } from "../model/endpoint-kinds.ts";
import { PbError } from "../model/error.ts";
import type { Shell } from "./context.ts";
import type { Wish } from "./words/setting.ts";

export interface Answers extends Wish {
  readonly secrets: ReadonlyMap<string, Secret>;
}

/** @param known is not asked for again. @throws PbError `aborted` when the person leaves */
export async function askForRemote(
  { terminal, signal, cwd }: Shell,
  known: Partial<Wish> & { readonly secrets: ReadonlyMap<string, Secret> },
): Promise<Answers> {
  const clack = await import("@clack/prompts");
  const common = { input: terminal.stdin, output: terminal.stderr, signal };

  function given<T>(answer: T | typeof clack.CANCEL_SYMBOL): T {
    if (!clack.isCancel(answer)) return answer as T;
    throw new PbError("aborted", "nothing was added");
  }

  async function kindOf(): Promise<EndpointKind> {
    // A server of ours is added by its invite.
    const options = ENDPOINT_KINDS.filter((kind) => kind !== "pb").map((value) => ({
      value,
      label: value,
      hint: KINDS[value].about,
    }));
    return given(
      await clack.select<EndpointKind>({ ...common, message: "What kind of place is it?", options }),
    );
  }

  async function ask({ about, type, choices, required, initial }: SettingSpec): Promise<Setting | undefined> {
    if (type === "boolean") {
      return given(await clack.confirm({ ...common, message: about, initialValue: initial === true }));
    }
    if (choices) {
      const options = choices.map((value) => ({ value, label: value }));
      const initialValue = String(initial ?? choices[0]);
      return given(await clack.select<string>({ ...common, message: about, options, initialValue }));
    }
    const validate = (text: string | undefined) => {
      if (!text) return required ? "this is needed" : undefined;
      return type === "number" && !/^\d{1,9}$/.test(text) ? "a number it must be" : undefined;
    };
    const text = given(await clack.text({ ...common, message: about, validate }));
    if (!text) return undefined;
    return type === "number" ? Number(text) : text;
  }

  const kind = known.kind ?? (await kindOf());
  const settings: Record<string, Setting> = { ...known.settings };
  for (const spec of KINDS[kind].settings) {
    if (settings[spec.name] !== undefined) continue;
    const answer = await ask(spec);
    if (answer !== undefined && answer !== spec.initial) settings[spec.name] = answer;
  }
  const secrets = new Map(known.secrets);
  for (const { name, about, multiline } of KINDS[kind].secrets) {
    if (secrets.has(name)) continue;
    if (multiline) {
      const file = given(
        await clack.text({ ...common, message: `${about}: a file to take it from (empty: none)` }),
      );
      if (file) secrets.set(name, new Secret(readFileSync(resolve(cwd, file), "utf8")));
      continue;
    }
    const answer = given(await clack.password({ ...common, message: `${about} (empty: none)` }));
    if (answer) secrets.set(name, new Secret(answer));
  }
  return { kind, settings, secrets };
}
