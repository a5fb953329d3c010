/**
 * Paths as text. POSIX names are bytes; in TypeScript a path is a string in which each byte that is not part
 * of valid UTF-8 is the lone surrogate U+DC80..U+DCFF (Python's `surrogateescape`, PEP 383), so that every
 * name survives the way to text and back. Such text is called `PathText`. Always '/'-separated.
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes to `PathText`; lossless. */
export function pathText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return escapeInvalid(bytes);
  }
}

function escapeInvalid(bytes: Uint8Array): string {
  let out = "";
  for (let at = 0; at < bytes.length; ) {
    const length = validSequence(bytes, at);
    if (length === 0) {
      out += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      at += 1;
    } else {
      out += decoder.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return out;
}

/** Length of the valid UTF-8 sequence at `at`, 0 when there is none. */
function validSequence(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    decoder.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}

const LONE = /[\udc80-\udcff]/;

/** `PathText` to bytes. */
export function pathBytes(text: string): Uint8Array {
  if (!LONE.test(text)) return Buffer.from(text, "utf8");
  const parts: Buffer[] = [];
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const escaped = code >= 0xdc80 && code <= 0xdcff;
    parts.push(escaped ? Buffer.from([code - 0xdc00]) : Buffer.from(char, "utf8"));
  }
  return Buffer.concat(parts);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;

/** For people: control characters, invalid bytes and bidirectional overrides shown as escapes (T3). */
export function displayPath(text: string): string {
  return text.replace(UNSAFE, escapeChar);
}

function escapeChar(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code === 0x0a) return "\\n";
  if (code === 0x0d) return "\\r";
  if (code === 0x09) return "\\t";
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/** Last component; "" for "" and "/". */
export function baseName(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  return trimmed.slice(trimmed.lastIndexOf("/") + 1);
}

/** Everything before the last component; "" where there is none, "/" for "/x". */
export function dirName(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  const cut = trimmed.lastIndexOf("/");
  return cut < 0 ? "" : cut === 0 ? "/" : trimmed.slice(0, cut);
}

/** Joins with exactly one slash; an empty side adds none. */
export function joinPath(base: string, name: string): string {
  if (base === "") return name;
  if (name === "") return base;
  // Nearly all: a listing of a million entries joins three paths for each.
  if (!base.endsWith("/") && !name.startsWith("/")) return `${base}/${name}`;
  return `${base.replace(/\/+$/, "")}/${name.replace(/^\/+/, "")}`;
}
