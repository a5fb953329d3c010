import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { completionScript } from "./completion-scripts.ts";
import { cli } from "./testing/cli.ts";
import { fakeFiles } from "./testing/services.ts";

const files = fakeFiles({ "/": 0, "/logs/": 0, "/logs/a.gz": 1, "/logs/evil\u001b": 1, "/long/": 0 });

async function complete(...words: string[]): Promise<string[]> {
  const { stdout, code } = await cli(["__complete", "--", ...words], { files });
  expect(code).toBe(0);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t")[0] ?? "");
}

describe("candidates", () => {
  test("commands, and commands below them", async () => {
    expect(await complete("re")).toEqual(["rename", "remote", ":"]);
    expect(await complete("clients", "")).toEqual(["list", "revoke", ":"]);
    expect(await complete("")).not.toContain("__complete");
  });

  test("options, of a command by its short name too", async () => {
    expect(await complete("cp", "--over")).toEqual(["--overwrite", ":"]);
    expect(await complete("ls", "--js")).toEqual(["--json", ":"]);
  });

  test("words that an option takes", async () => {
    expect(await complete("cp", "--overwrite", "if-")).toEqual(["if-newer", "if-different", ":"]);
    expect(await complete("cp", "--transport", "udp", "--seal", "o")).toEqual(["on", "off", ":"]);
    expect(await complete("completion", "z")).toEqual(["zsh", ":"]);
  });

  test("remotes beside the files here", async () => {
    expect(await complete("ls", "b")).toEqual(["box:", ":files"]);
    expect(await complete("cp", "x", "--json", "")).toEqual(["box:", ":files"]);
    expect(await complete("doctor", "")).toEqual(["box", ":"]);
    expect(await complete("remote", "remove", "")).toEqual(["box", ":"]);
  });

  test("what is on a remote, without names that a terminal would obey", async () => {
    expect(await complete("ls", "box:/lo")).toEqual(["box:/logs/", "box:/long/", ":"]);
    expect(await complete("ls", "box:/logs/")).toEqual(["box:/logs/a.gz", ":"]);
    expect(await complete("ls", "box:/nothing/")).toEqual([":"]);
  });
});

test("bash puts words with colons together, and takes the answer apart again", () => {
  const folder = mkdtempSync(join(tmpdir(), "pb-complete-"));
  try {
    // Stands for pb: notes the words it is asked with, knows one folder.
    const fake = `pb() { printf '%s|' "$@" >> ${folder}/asked; printf 'box:/logs/\\t\\nbox:/long\\t\\n:\\n'; }`;
    const drive = [
      completionScript("bash"),
      fake,
      "COMP_WORDS=(pb ls box : /lo); COMP_CWORD=4; COMP_LINE='pb ls box:/lo'; COMP_POINT=13; _pb 2>/dev/null",
      `printf '%s\\n' "\${COMPREPLY[@]}"`,
      "COMP_WORDS=(pb ls box : ''); COMP_CWORD=4; COMP_LINE='pb ls box: '; COMP_POINT=11; _pb 2>/dev/null",
    ].join("\n");
    writeFileSync(join(folder, "drive"), drive);
    const replies = execFileSync("bash", ["--norc", join(folder, "drive")], { encoding: "utf8" });
    expect(replies).toBe("/logs/\n/long\n");
    expect(execFileSync("cat", [join(folder, "asked")], { encoding: "utf8" })).toBe(
      "__complete|--|ls|box:/lo|__complete|--|ls|box:||",
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
