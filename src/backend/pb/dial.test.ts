import { describe, expect, it } from "vitest";
import { PbError } from "../../model/error.ts";
import { firstOf } from "./dial.ts";

const signal = new AbortController().signal;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("the first of several addresses", () => {
  it("is the first in order that answers, and a failure starts the next at once", async () => {
    const tried: number[] = [];
    const started = performance.now();
    const won = await firstOf({
      items: [1, 2, 3],
      signal,
      attempt: async (item) => {
        tried.push(item);
        if (item === 1) throw new PbError("unreachable", "no");
        return item;
      },
    });
    expect([won, tried]).toEqual([2, [1, 2]]);
    expect(performance.now() - started).toBeLessThan(900);
  });

  it("is another beside one that hangs, which is aborted, and whose late answer is dropped", async () => {
    const dropped: number[] = [];
    let aborted = false;
    const won = await firstOf({
      items: [1, 2],
      signal,
      attempt: async (item, attempt) => {
        if (item === 2) return item;
        attempt.addEventListener("abort", () => {
          aborted = true;
        });
        await pause(1200);
        return item;
      },
      drop: (item) => dropped.push(item),
    });
    expect([won, aborted]).toEqual([2, true]);
    await pause(300);
    expect(dropped).toEqual([1]);
  });

  it("tells the failure that says most", async () => {
    const codes = ["unreachable", "fingerprint_mismatch", "unreachable"] as const;
    const failed = firstOf({
      items: codes,
      signal,
      attempt: (code) => Promise.reject(new PbError(code, code)),
    });
    await expect(failed).rejects.toThrow(expect.objectContaining({ code: "fingerprint_mismatch" }));
  });

  it("ends when it is interrupted", async () => {
    const stop = new AbortController();
    const failed = firstOf({
      items: [1],
      signal: stop.signal,
      attempt: (_item, attempt) =>
        new Promise<number>((_, reject) => {
          attempt.addEventListener("abort", () => reject(new PbError("aborted", "interrupted")));
        }),
    });
    stop.abort();
    await expect(failed).rejects.toThrow(expect.objectContaining({ code: "aborted" }));
    await expect(firstOf({ items: [1], signal: stop.signal, attempt: async () => 1 })).rejects.toThrow();
    await expect(firstOf({ items: [], signal, attempt: async () => 1 })).rejects.toThrow();
  });
});
