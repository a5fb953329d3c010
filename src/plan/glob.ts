import picomatch from "picomatch";
import { PbError } from "../model/error.ts";

/** One glob of a filter list, compiled. Paths are `PathText` relative to the source's top. */
export interface Glob {
  matches(path: string, isDirectory: boolean): boolean;
  /** Could the glob match something below this folder? True when in doubt. */
  couldMatchBelow(directory: string): boolean;
}

/** Names are bytes: case counts, a dot is a letter like others, `\` is no separator, and `.` matches a newline. */
const OPTIONS: picomatch.PicomatchOptions = {
  dot: true,
  nonegate: true,
  nocase: false,
  windows: false,
  flags: "s",
};

/**
 * A pattern without a slash matches a name at any depth; with a slash, also a leading one, the path from the top.
 * A trailing slash matches folders only and does not count as a slash. `*` stops at slashes, `**` does not.
 *
 * @throws PbError `invalid_argument` for an empty pattern and one that picomatch cannot read
 */
export function compileGlob(pattern: string): Glob {
  const directoriesOnly = pattern.endsWith("/");
  const body = pattern.replace(/\/+$/, "");
  const anchored = body.includes("/");
  const glob = body.replace(/^\/+/, "");
  if (glob === "") throw badPattern(pattern);
  const test = compile(glob, pattern);
  const below = anchored ? prefixTest(glob, pattern) : () => true;
  return {
    matches: (path, isDirectory) =>
      (isDirectory || !directoriesOnly) && test(anchored ? path : path.slice(path.lastIndexOf("/") + 1)),
    couldMatchBelow: below,
  };
}

function compile(glob: string, pattern: string): (text: string) => boolean {
  try {
    return picomatch(glob, OPTIONS);
  } catch (cause) {
    throw badPattern(pattern, cause);
  }
}

function badPattern(pattern: string, cause?: unknown): PbError {
  return new PbError("invalid_argument", `filter pattern "${pattern}" is not a glob`, {
    hint: "use names with *, **, ?, [abc] and {a,b}",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Compares folder by folder as far as the pattern's parts stand for one level each. */
function prefixTest(glob: string, pattern: string): (directory: string) => boolean {
  // A slash within braces or parentheses makes parts of the text no levels: then nothing is ruled out.
  if (/[({][^)}]*\//.test(glob)) return () => true;
  const levels = glob.split("/").map((part) => (part.includes("**") ? undefined : compile(part, pattern)));
  return (directory) => {
    const names = directory.split("/");
    for (const [depth, name] of names.entries()) {
      if (depth >= levels.length) return false;
      const level = levels[depth];
      if (level === undefined) return true;
      if (!level(name)) return false;
    }
    return names.length < levels.length;
  };
}
