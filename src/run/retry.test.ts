import { describe, expect, it } from "vitest";
import { PbError } from "../model/error.ts";
import type { RunContext } from "./context.ts";
import type { Outcome } from "./receipt.ts";
import { Reporter } from "./report.ts";
import { withRetries } from "./retry.ts";
import { retryDelayMs } from "./retry-policy.ts";
import { NO_COUNTS } from "./tally.ts";

const DONE: Outcome = { state: "done", hashes: [], lanes: 0, sealed: false };
const lost = new PbError("connection_lost", "gone", { peer: "box" });

/** The attempt's number, and the context that it is given. */
type Attempt = (number: number, context: RunContext) => Promise<Outcome>;

async function run(
  attempt: Attempt,
  {
    attempts = 3,
    fromStart = false,
    begun = true,
    signal = new AbortController().signal,
    from = {},
    to = {},
  }: {
    readonly attempts?: number;
    readonly fromStart?: boolean;
    readonly begun?: boolean;
    readonly signal?: AbortSignal;
    readonly from?: { readonly fd?: number };
    readonly to?: { readonly fd?: number };
  } = {},
) {
  const reporter = new Reporter({ limitBytesPerSecond: 0, now: () => performance.now() });
  const request = {
    retry: { attempts, fromStart },
    move: false,
    sources: [from],
    destination: to,
  } as unknown as RunContext["request"];
  const context = { request, reporter, signal } as RunContext;
  let calls = 0;
  const strategy = (given: RunContext) => {
    calls += 1;
    return attempt(given.attempt, given);
  };
  try {
    const outcome = await withRetries(context, strategy, () => begun);
    return { calls, outcome, reporter };
  } catch (error) {
    return { calls, error, reporter };
  } finally {
    reporter.stop();
  }
}

describe("withRetries", () => {
  it("goes on in a new session until it is done", async () => {
    const { calls, outcome, reporter } = await run(async (number, { reporter: told }) => {
      told.job(1, { ...NO_COUNTS, bytes: 5, files: 1, totalFiles: 3, redone: [], errors: [] });
      if (number < 3) throw lost;
      return DONE;
    });
    expect([calls, outcome]).toEqual([3, DONE]);
    // Of a copy each attempt tells the whole.
    expect(reporter.counts).toMatchObject({ bytes: 5, files: 1, totalFiles: 3 });
    expect(reporter.attempts).toBe(3);
    expect(reporter.notices.map(({ code }) => code)).toEqual(["retrying"]);
  });

  it.each([
    ["input", { from: { fd: 0 } }],
    ["output", { to: { fd: 1 } }],
  ])("is not tried again once standard %s has been in it", async (_, ends) => {
    const { calls, error } = await run(() => Promise.reject(lost), ends);
    expect([calls, error]).toMatchObject([1, { code: "connection_lost", peer: "box", retryable: false }]);
    expect((error as PbError).hint).toContain("from its beginning");
    const early = await run(() => Promise.reject(lost), { ...ends, begun: false, fromStart: true });
    expect(early.calls).toBe(4);
  });

  it("fails after so many attempts in a row without progress", async () => {
    const { calls, error } = await run(() => Promise.reject(lost), { attempts: 3 });
    expect([calls, error]).toEqual([4, lost]);
  });

  it("is there once more, at once, when what it came with was taken away, and again whenever that helped", async () => {
    const taken = new PbError("revoked", "ended");
    const { calls, error, reporter } = await run(
      async (number, { reporter: told }) => {
        if (number < 3) told.job(1, { ...NO_COUNTS, bytes: 1, redone: [], errors: [] });
        throw number < 4 ? taken : lost;
      },
      { attempts: 60 },
    );
    expect([calls, error, reporter.notices]).toEqual([3, taken, []]);
    expect((await run(() => Promise.reject(taken), { begun: false, fromStart: true })).calls).toBe(1);
    expect((await run(() => Promise.reject(taken), { attempts: 0 })).calls).toBe(1);
  });

  it("progress makes it patient again", async () => {
    const { calls } = await run(
      async (number, { reporter }) => {
        if (number === 2) reporter.job(1, { ...NO_COUNTS, bytes: 1, redone: [], errors: [] });
        throw lost;
      },
      { attempts: 2 },
    );
    expect(calls).toBe(4);
  });

  it.each([
    ["what no other session mends", new PbError("permission_denied", "no"), {}],
    ["a peer that was never there", new PbError("unreachable", "no"), { begun: false }],
    ["any loss, without attempts", lost, { attempts: 0 }],
    ["a deadline", new PbError("timeout", "late", { retryable: false }), {}],
  ])("fails at once for %s", async (_, error, options) => {
    const result = await run(() => Promise.reject(error), options);
    expect([result.calls, result.error]).toEqual([1, error]);
  });

  it("waits for a peer that was never there when it was told to", async () => {
    const { calls } = await run(
      async (number) => {
        if (number === 1) throw new PbError("unreachable", "no");
        return DONE;
      },
      { begun: false, fromStart: true },
    );
    expect(calls).toBe(2);
  });

  it("ends its wait when it is interrupted", async () => {
    const controller = new AbortController();
    const { error } = await run(
      async () => {
        setTimeout(() => controller.abort(new PbError("aborted", "paused")), 20);
        throw lost;
      },
      { signal: controller.signal },
    );
    expect(error).toMatchObject({ code: "aborted", message: "paused" });
  });
});

it("waits longer from attempt to attempt, up to two seconds, half of it by chance", () => {
  const waits = [1, 2, 3, 4, 5, 50].map((n) => [retryDelayMs(n, () => 0), retryDelayMs(n, () => 1)]);
  expect(waits).toEqual([
    [125, 250],
    [250, 500],
    [500, 1_000],
    [1_000, 2_000],
    [1_000, 2_000],
    [1_000, 2_000],
  ]);
});
