import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { after } from "./timer.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const DAY_MS = 86_400_000;

test.each([1_000, 30 * DAY_MS, 60 * DAY_MS])("after %d ms, and not before", (ms) => {
  const work = vi.fn();
  after(ms, work);
  vi.advanceTimersByTime(ms - 1);
  expect(work).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(work).toHaveBeenCalledTimes(1);
});

test("not at all when it is stopped, wherever it is", () => {
  const work = vi.fn();
  const stop = after(30 * DAY_MS, work);
  vi.advanceTimersByTime(26 * DAY_MS);
  stop();
  vi.advanceTimersByTime(30 * DAY_MS);
  expect(work).not.toHaveBeenCalled();
});
