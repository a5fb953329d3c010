import { describe, expect, it } from "vitest";
import { untilTaken } from "./until-taken.ts";

/** Two messages, then none for ever. */
function messages() {
  let ended = false;
  async function* all() {
    try {
      yield 1;
      yield 2;
      await new Promise(() => {});
    } finally {
      ended = true;
    }
  }
  return { all: all(), ended: () => ended };
}

describe("messages of a call", () => {
  it("end with the access that it began with, also while none comes", async () => {
    const ends = new Set<() => void>();
    const track = (end: () => void) => {
      ends.add(end);
      return () => ends.delete(end);
    };
    const got: number[] = [];
    const read = async () => {
      for await (const each of untilTaken(messages().all, track)) {
        got.push(each);
        if (got.length === 2) setTimeout(() => [...ends].map((end) => end()), 1);
      }
    };
    await expect(read()).rejects.toThrow(expect.objectContaining({ code: "token_expired" }));
    expect(got).toEqual([1, 2]);
    expect(ends.size).toBe(0);
  });

  it("are let go of when the reader leaves", async () => {
    const { all, ended } = messages();
    let tracked = 0;
    const track = () => {
      tracked += 1;
      return () => {
        tracked -= 1;
      };
    };
    for await (const each of untilTaken(all, track)) if (each === 1) break;
    expect([tracked, ended()]).toEqual([0, true]);
  });
});
