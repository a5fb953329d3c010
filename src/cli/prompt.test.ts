import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import type { Shell } from "./context.ts";
import { confirm } from "./prompt.ts";
import { askSecret } from "./secret-input.ts";
import { sink } from "./testing/cli.ts";

function shell(terminal: boolean, signal = new AbortController().signal) {
  const stdin = Object.assign(new PassThrough(), { isTTY: terminal, setRawMode: () => {} });
  const stderr = Object.assign(sink(), { isTTY: terminal });
  const given = { terminal: { stdin, stdout: sink(), stderr, env: { TERM: "xterm" } }, signal };
  return { shell: given as unknown as Shell, stdin, stderr };
}

describe("questions", () => {
  test.each(["y\n", "YES\n"])("%j is a yes", async (answer) => {
    const { shell: asking, stdin, stderr } = shell(true);
    const asked = confirm(asking, "Remove all?", "--yes");
    stdin.write(answer);
    await asked;
    expect(stderr.text()).toContain("Remove all? [y/N] ");
  });

  test.each(["\n", "n\n", "yesterday\n"])("%j is a no", async (answer) => {
    const { shell: asking, stdin } = shell(true);
    const asked = confirm(asking, "Remove all?", "--yes");
    stdin.write(answer);
    await expect(asked).rejects.toMatchObject({ code: "aborted" });
  });

  test("end of input, or Ctrl-C, is a no", async () => {
    const { shell: asking, stdin } = shell(true);
    const asked = confirm(asking, "Remove all?", "--yes");
    stdin.end();
    await expect(asked).rejects.toMatchObject({ code: "aborted" });
    const interrupted = new AbortController();
    const { shell: other } = shell(true, interrupted.signal);
    const waiting = confirm(other, "Remove all?", "--yes");
    interrupted.abort();
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  });

  test("nobody to ask: the flag is named", async () => {
    await expect(confirm(shell(false).shell, "Remove all?", "--yes")).rejects.toMatchObject({
      code: "usage",
      message: "Remove all: nobody to ask; add --yes",
    });
  });
});

describe("a secret", () => {
  test("of nothing is none", async () => {
    const { shell: asking, stdin } = shell(true);
    const asked = askSecret(asking, "Password", "--stdin password");
    setTimeout(() => stdin.write("\r"), 50);
    await expect(asked).rejects.toMatchObject({ code: "usage" });
  });

  test("is what was typed", async () => {
    const { shell: asking, stdin } = shell(true);
    const asked = askSecret(asking, "Password", "--stdin password");
    setTimeout(() => stdin.write("hunter2\r"), 50);
    expect(await asked).toBe("hunter2");
  });
});
