import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Backend } from "../backend/backend.ts";
import type { Check } from "../model/actions.ts";
import { PbError } from "../model/error.ts";
import { testRemote } from "./remote-test.ts";
import { endpoint } from "./testing/endpoint.ts";

async function checksOf(write: boolean, change: Partial<Backend> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "pb-remote-test-"));
  const made = await endpoint("nas").nas?.(folder);
  try {
    const { signal } = new AbortController();
    const open = async () => ({ ...(made as Backend), ...change });
    const checks = new Map<string, Check>();
    for await (const check of testRemote({ name: "nas", path: "", write, signal, open }))
      checks.set(check.name, check);
    return { checks, left: await readdir(folder, { recursive: true }) };
  } finally {
    await made?.close();
    await rm(folder, { recursive: true });
  }
}

it("that an endpoint may be written to is said when it was tried", async () => {
  const { checks } = await checksOf(false);
  expect(checks.get("list")).toMatchObject({ status: "ok" });
  expect(checks.get("writable")).toMatchObject({
    status: "skipped",
    detail: expect.stringMatching(/--write/),
  });
  const tried = await checksOf(true);
  expect(tried.checks.get("write")).toMatchObject({ status: "ok" });
  expect([tried.checks.has("writable"), tried.left]).toEqual([false, ["nas"]]);
});

it("one that refuses is not writable", async () => {
  const touch = () => Promise.reject(new PbError("permission_denied", "405"));
  const { checks } = await checksOf(true, { touch });
  expect(checks.get("write")).toMatchObject({ status: "fail", detail: "permission_denied: 405" });
  expect(checks.has("writable")).toBe(false);
});
