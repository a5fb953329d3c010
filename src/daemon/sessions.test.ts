import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import type { NativeSession } from "../native/types.ts";
import { Sessions } from "./sessions.ts";

const MIB = 1024 * 1024;
const caller = (clientId: string): Caller => ({ clientId, name: clientId, readOnly: false, path: "/" });
const [ann, bob] = [caller("ann"), caller("bob")];
const code = (wanted: string) => expect.objectContaining({ code: wanted });

function nativeSession() {
  let lose: (why: PbError | undefined) => void = () => {};
  const closed = new Promise<PbError | undefined>((resolve) => {
    lose = resolve;
  });
  const close = vi.fn(async () => lose(undefined));
  const session = { closed, close, samples: () => [] } as unknown as NativeSession;
  return { session, close, lose };
}

describe("Sessions", () => {
  let revoke: Map<string, () => void>;
  let sessions: Sessions;
  beforeEach(() => {
    vi.useFakeTimers();
    revoke = new Map();
    sessions = new Sessions({
      memoryBytes: 64 * MIB,
      track: (clientId, end) => {
        revoke.set(clientId, end);
        return () => revoke.delete(clientId);
      },
    });
  });
  afterEach(async () => {
    await sessions.closeAll();
    vi.useRealTimers();
  });

  const open = (who: Caller, connectionId: bigint, memoryBytes = 8 * MIB, gone?: AbortSignal) => {
    const native = nativeSession();
    sessions.add(who, { connectionId, session: native.session, memoryBytes, ...(gone && { gone }) });
    return native;
  };

  it("shows a session to its client and to nobody else", async () => {
    const { close } = open(ann, 1n);
    expect(sessions.get(ann, 1n).connectionId).toBe(1n);
    expect(() => sessions.get(bob, 1n)).toThrow(code("connection_lost"));
    expect(() => sessions.get(bob, 2n)).toThrow(code("connection_lost"));
    await sessions.close(bob, 1n);
    expect(close).not.toHaveBeenCalled();
    await sessions.close(ann, 1n);
    expect(close).toHaveBeenCalledOnce();
    expect(() => sessions.get(ann, 1n)).toThrow(code("connection_lost"));
  });

  it("closes a session that is idle for a minute, not one with a job", async () => {
    const idle = open(ann, 1n);
    const busy = open(ann, 2n);
    const { open: held, end } = sessions.startJob(ann, 2n, 7);
    expect(() => sessions.startJob(ann, 2n, 7)).toThrow(code("invalid_argument"));
    await vi.advanceTimersByTimeAsync(61_000);
    expect(idle.close).toHaveBeenCalledOnce();
    expect(busy.close).not.toHaveBeenCalled();
    end();
    end();
    await vi.advanceTimersByTimeAsync(61_000);
    expect(busy.close).toHaveBeenCalledOnce();
    expect(held.ended.reason).toMatchObject({ code: "timeout" });
  });

  it("ends what a client that has gone can't use any more, and lets its jobs end first", async () => {
    const gone = new AbortController();
    const idle = open(ann, 1n, 8 * MIB, gone.signal);
    const busy = open(ann, 2n, 8 * MIB, gone.signal);
    const other = open(ann, 3n, 8 * MIB, new AbortController().signal);
    const job = sessions.startJob(ann, 2n, 1);
    gone.abort();
    expect([idle, busy, other].map(({ close }) => close.mock.calls.length)).toEqual([1, 0, 0]);
    job.end();
    expect(busy.close).toHaveBeenCalledOnce();
    sessions.startJob(ann, 3n, 1).end({ lost: true });
    expect(other.close).toHaveBeenCalledOnce();
    const late = open(ann, 4n, 8 * MIB, gone.signal);
    expect(late.close).toHaveBeenCalledOnce();
    expect(sessions.size).toBe(0);
  });

  it("ends a revoked client's sessions and jobs, and says why", async () => {
    const { close } = open(ann, 1n);
    open(bob, 2n);
    const { ended } = sessions.get(ann, 1n);
    revoke.get("ann")?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(close).toHaveBeenCalledOnce();
    expect(ended.reason).toMatchObject({ code: "revoked" });
    expect(sessions.get(bob, 2n).ended.aborted).toBe(false);
    expect(sessions.size).toBe(1);
  });

  it("forgets a session that was lost", async () => {
    const { lose } = open(ann, 1n);
    lose(undefined);
    await vi.advanceTimersByTimeAsync(0);
    expect(sessions.size).toBe(0);
  });

  it("grants memory down to the least that works, then none, until some is free", async () => {
    expect(sessions.grantMemory(ann, 10 ** 12)).toBe(64 * MIB);
    expect(sessions.grantMemory(ann, 1)).toBe(8 * MIB);
    const granted: number[] = [];
    for (let id = 1n; id <= 7n; id += 1n) {
      granted.push(sessions.grantMemory(ann, 64 * MIB) / MIB);
      open(ann, id, sessions.grantMemory(ann, 64 * MIB));
    }
    expect(granted).toEqual([64, 64, 64, 32, 16, 8, 8]);
    expect(() => sessions.grantMemory(bob, 8 * MIB)).toThrow(code("resource_exhausted"));
    await sessions.close(ann, 1n);
    expect(sessions.grantMemory(bob, 64 * MIB)).toBe(32 * MIB);
  });

  it("gives a client at most 64 sessions, others theirs", () => {
    const many = new Sessions({ memoryBytes: 1024 * MIB, track: () => () => {} });
    for (let id = 1n; id <= 64n; id += 1n) {
      many.add(ann, { connectionId: id, session: nativeSession().session, memoryBytes: 8 * MIB });
    }
    expect(() => many.grantMemory(ann, 8 * MIB)).toThrow(code("resource_exhausted"));
    expect(many.grantMemory(bob, 8 * MIB)).toBe(8 * MIB);
    return many.closeAll();
  });
});
