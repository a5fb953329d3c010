import { PbError } from "../model/error.ts";
import type { CheckpointFiles } from "./files.ts";
import { reading } from "./window.ts";

/** How old something is by what passed between looks at it. */
export interface KnownAge {
  readonly name: string;
  /** When it was last written to, by the file system's clock, ms. */
  readonly modified: number;
  readonly ageMs: number;
}

export interface Ages {
  /** Time of day of the last look, ms; undefined: this is the first. */
  readonly lookedAt: number | undefined;
  readonly known: ReadonlyMap<string, KnownAge>;
}

const NONE: Ages = { lookedAt: undefined, known: new Map() };

/** A line each: time of the look; then name (as JSON), modified, age. What is not readable counts as never looked at. */
export function encodeAges(known: readonly KnownAge[], lookedAt: number): Buffer {
  const lines = known.map(({ name, modified, ageMs }) => JSON.stringify([name, modified, ageMs]));
  return Buffer.from(`${JSON.stringify([lookedAt])}\n${lines.join("\n")}\n`);
}

export async function readAges(files: CheckpointFiles, path: string): Promise<Ages> {
  try {
    const text = await reading(files.open(path, "read"), async (window) =>
      (await window.at(0, window.size))?.toString(),
    );
    return parse(text ?? "");
  } catch (cause) {
    if (cause instanceof SyntaxError) return NONE;
    if (cause instanceof PbError && cause.code === "not_found") return NONE;
    throw cause;
  }
}

function parse(text: string): Ages {
  const [first, ...lines] = text.split("\n").filter((line) => line !== "");
  const [lookedAt]: unknown[] = first === undefined ? [] : JSON.parse(first);
  if (typeof lookedAt !== "number") return NONE;
  const known = new Map<string, KnownAge>();
  for (const line of lines) {
    const [name, modified, ageMs]: unknown[] = JSON.parse(line);
    if (typeof name !== "string" || typeof modified !== "number" || typeof ageMs !== "number") return NONE;
    known.set(name, { name, modified, ageMs });
  }
  return { lookedAt, known };
}

/** How old each is now. */
export function ageBook(
  { lookedAt, known }: Ages,
  { now, keepMs }: { readonly now: number; readonly keepMs: number },
): { of(name: string, modified: number): KnownAge } {
  const passed = Math.min(Math.max(0, now - (lookedAt ?? now)), keepMs / 4);
  return {
    of: (name, modified) => {
      const before = known.get(name);
      const isSame = before !== undefined && before.modified === modified;
      return { name, modified, ageMs: isSame ? before.ageMs + passed : 0 };
    },
  };
}
