import { expect, test } from "vitest";
import { pathText } from "../../model/path.ts";
import { type Fixture, namesBelow, never, refused, type Traits } from "./fixture.ts";

/** Names that break what takes names for text (T3). */
const STRANGE: readonly (readonly [string, string])[] = [
  ["a newline", "line\nbreak"],
  ["invalid UTF-8", pathText(Buffer.from([0x66, 0xff, 0xfe, 0x80]))],
  ["a cut UTF-8 sequence", pathText(Buffer.from([0xe2, 0x82]))],
  ["terminal escapes", "\u001b[31mred\u001b[0m\u0007"],
  ["shell words", "$(touch x); `y` && rm -rf ~ | 'q' \"q\" *"],
  ["HTML", "<img src=x onerror=alert(1)>"],
  ["CRLF and tab", "a\r\nSet-Cookie: x\ty"],
  ["per cent escapes", "%2e%2e%2fetc%00"],
  ["backslashes", "..\\..\\windows"],
  ["only spaces", "  "],
  ["a leading dash", "-rf"],
  ["three dots", "..."],
  ["a colon", "box:file"],
  ["__proto__", "__proto__"],
  ["bidirectional override", "exe\u202egpj"],
  ["marks of a URL", "a?b#c&d=e+f;g@h"],
  ["what a listing of FTP says", "type=dir;size=1; a -> b"],
  ["a tilde", "~root"],
  ["a space and a dot at the end", "x. ."],
  ["a control character of two bytes", "\u009b31m"],
  ["a line separator", "a\u2028b"],
  ["a name of Object's", "constructor"],
  ["255 bytes", "n".repeat(255)],
  ["85 characters of 3 bytes", "\u20ac".repeat(85)],
];

const LONE = /\p{Surrogate}/u;

export function naming(current: () => Fixture, { names, without = [], changes = true }: Traits): void {
  const bytes = ([, name]: (typeof STRANGE)[number]) => LONE.test(name);
  const text = names === "text";
  const kept = STRANGE.filter((one) => !(text && bytes(one)) && !without.includes(one[0]));

  if (text)
    test.each(STRANGE.filter(bytes))("and refuses %s", async (_what, name) => {
      const { backend } = current();
      await refused("invalid_path", backend.mkdir(name, { parents: false, signal: never }));
      await refused("invalid_path", backend.stat(name, { follow: false, signal: never }));
    });

  test.each(kept)("with %s, byte for byte", async (_what, name) => {
    const { backend, place } = current();
    if (changes) {
      await backend.mkdir(name, { parents: false, signal: never });
      await backend.touch(`${name}/${name}`, { create: true, signal: never });
    } else await place.write(`${name}/${name}`, "");
    expect(await place.exists(`${name}/${name}`)).toBe(true);
    expect(await namesBelow(backend, "")).toEqual([name, `${name}/${name}`]);
    expect(await namesBelow(backend, name)).toEqual([name]);
    expect((await backend.stat(`${name}/${name}`, { follow: false, signal: never })).kind).toBe("file");
    if (!changes) return;
    await backend.rename(`${name}/${name}`, "plain", { replace: false, signal: never });
    await backend.rename("plain", `${name}/${name}`, { replace: false, signal: never });
    const removed = await backend.remove(name, { recursive: true, signal: never });
    expect(removed).toEqual({ files: 1, directories: 1 });
  });

  test("that differ only in case or Unicode form apart", async () => {
    const { backend, place } = current();
    const names = ["A", "a", "caf\u00e9", "cafe\u0301"];
    for (const name of names) await place.write(name, "");
    expect((await namesBelow(backend, "")).sort()).toEqual([...names].sort());
  });

  test("in errors", async () => {
    const { backend } = current();
    const bare = without.includes("a newline") ? "gone\u001b[31m" : "gone\u001b\n";
    const name = text ? bare : pathText(Buffer.from(`${bare}\xfe`, "latin1"));
    const error = await refused("not_found", backend.stat(name, { follow: false, signal: never }));
    expect(error.path).toBe(name);
    for (const raw of ["\n", "\u001b"]) expect(error.message).not.toContain(raw);
  });

  test("in trees a hundred levels deep", async () => {
    const { backend, place } = current();
    const deep = Array.from({ length: 100 }, (_, n) => `level-${n}`);
    if (changes) await backend.mkdir(deep.join("/"), { parents: true, signal: never });
    else await place.fill(deep.join("/"), 0);
    const names = await namesBelow(backend, "");
    expect(names).toHaveLength(100);
    expect(names.at(-1)).toBe(deep.join("/"));
    if (!changes) return;
    const removed = await backend.remove("level-0", { recursive: true, signal: never });
    expect(removed).toEqual({ files: 0, directories: 100 });
  }, 60_000);
}
