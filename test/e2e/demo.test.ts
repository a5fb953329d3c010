import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { exited, PB, run, start, until } from "./lib/process.ts";

/** `pb demo`: what it shows is true, and nothing of it stays, however it ends. */
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pb-demo-e2e-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Processes that were started with something in this test's folder. */
function left(): string[] {
  const commands = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    });
  return commands.filter((command) => command.includes(folder));
}

test("everything arrives equal, the receipts say so, nothing stays", async () => {
  const result = await run(PB, ["demo", "--size", "8M", "--files", "60", "--dir", folder, "--json"]);
  expect({ code: result.code, stderr: result.stderr }).toMatchObject({ code: 0 });
  const { equal, receipts } = JSON.parse(result.stdout) as { equal: boolean; receipts: { files: number }[] };
  expect(equal).toBe(true);
  expect(receipts).toHaveLength(5);
  for (const receipt of receipts)
    expect(receipt).toMatchObject({ state: "done", verified: "blake3", errors: [] });
  expect(result.stderr).toContain("$ pb transfer big a:/");
  expect(result.stderr).toContain("Equal, byte for byte");
  expect(readdirSync(folder)).toEqual([]);
  expect(left()).toEqual([]);
});

test("interrupted in the middle: exit 130, nothing stays", async () => {
  const child = start(PB, ["demo", "--size", "512M", "--files", "60", "--dir", folder], {});
  let said = "";
  child.stdout?.resume();
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8");
  });
  await until("the first transfer to start", () => said.includes("$ pb transfer big a:/"));
  child.kill("SIGINT");
  const [code] = await exited(child);
  expect(code).toBe(130);
  expect(readdirSync(folder)).toEqual([]);
  expect(left()).toEqual([]);
});
