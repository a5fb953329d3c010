import { PbError } from "../../model/error.ts";

/** A whole number within bounds. @throws PbError `usage` naming the flag */
export function parseCount(
  text: string,
  flag: string,
  bounds: { readonly min: number; readonly max: number },
): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= bounds.min && value <= bounds.max) return value;
  throw new PbError("usage", `${flag}: "${text}" is not a whole number from ${bounds.min} to ${bounds.max}`, {
    peer: flag,
  });
}

/** `on` or `off`. @throws PbError `usage` naming the flag */
export function parseSwitch(text: string, flag: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new PbError("usage", `${flag}: "${text}" is neither "on" nor "off"`, { peer: flag });
}

/** One word of a set. @throws PbError `usage` naming the flag and the set */
export function parseChoice<const T extends string>(text: string, flag: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new PbError("usage", `${flag}: "${text}" is none of ${choices.join(", ")}`, { peer: flag });
}
