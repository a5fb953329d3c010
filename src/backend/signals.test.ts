import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { either, unlessAborted, whenAborted } from "./signals.ts";

const never = new Promise<never>(() => {});

test("an abort ends the wait, with its reason as the cause", async () => {
  const controller = new AbortController();
  const wait = unlessAborted(never, controller.signal);
  controller.abort("why");
  await expect(wait).rejects.toMatchObject({ code: "aborted", cause: "why" });
  await expect(unlessAborted(never, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
});

test("no listener is left behind", async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(Promise.resolve(1), signal)).toBe(1);
  await expect(unlessAborted(Promise.reject(new Error("x")), signal)).rejects.toThrow("x");
  const other = new AbortController();
  const both = either(signal, other.signal);
  other.abort();
  expect(both.signal.aborted).toBe(true);
  both[Symbol.dispose]();
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
  expect(getEventListeners(other.signal, "abort")).toHaveLength(0);
});

test("any number may wait for one signal, and none hears it that has left", async () => {
  const warnings: string[] = [];
  const hear = (warning: Error) => warnings.push(warning.name);
  process.on("warning", hear);
  const controller = new AbortController();
  let heard = 0;
  const leave = Array.from({ length: 40 }, () => whenAborted(controller.signal, () => (heard += 1)));
  leave[0]?.();
  controller.abort();
  // Warnings come in the next turn.
  await new Promise((done) => setImmediate(done));
  process.off("warning", hear);
  expect({ heard, warnings }).toEqual({ heard: 39, warnings: [] });
});
