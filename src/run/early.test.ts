import { describe, expect, it, vi } from "vitest";
import type { PeerSession, SessionPeer } from "../backend/backend.ts";
import { PbError } from "../model/error.ts";
import { openEarly } from "./early.ts";

type Wanted = Parameters<typeof openEarly>[0];

function ends(openSession: SessionPeer["openSession"]) {
  const at = (native: unknown) => ({ path: "", label: "", backend: { name: "", native } });
  const box = at({ kind: "session", peer: { name: "box", openSession } });
  const here = at({ kind: "root" });
  const options = { lanes: 1, transport: "auto", chunkBytes: 0 };
  const request = (from: unknown, to: unknown, dryRun = false) =>
    ({ sources: [from], destination: to, options, dryRun }) as unknown as Wanted;
  return { box, here, request };
}

function opens() {
  const close = vi.fn(async () => {});
  const session = { close } as unknown as PeerSession;
  return { close, session, openSession: vi.fn(async () => session) };
}

const { signal } = new AbortController();

describe("a session that is opened early", () => {
  it("is the first attempt's, who closes it", async () => {
    const { close, session, openSession } = opens();
    const { box, here, request } = ends(openSession);
    for (const wanted of [request(here, box), request(box, here)]) {
      const early = openEarly(wanted, signal);
      expect(await early.take()).toBe(session);
      expect(early.take()).toBeUndefined();
      await early.close();
    }
    expect(openSession).toHaveBeenCalledTimes(2);
    expect(close).not.toHaveBeenCalled();
  });

  it("is closed when nobody takes it", async () => {
    const { close, openSession } = opens();
    const { box, here, request } = ends(openSession);
    const early = openEarly(request(here, box), signal);
    await early.close();
    await early.close();
    expect(close).toHaveBeenCalledTimes(1);
  });

  it("fails whoever takes it, and nobody else", async () => {
    const down = new PbError("unreachable", "no");
    const { box, here, request } = ends(() => Promise.reject(down));
    await openEarly(request(here, box), signal).close();
    await expect(openEarly(request(here, box), signal).take()).rejects.toBe(down);
  });

  it("is none where nothing is transferred, or not with one peer", () => {
    const { openSession } = opens();
    const { box, here, request } = ends(openSession);
    for (const wanted of [request(here, box, true), request(box, box), request(here, here)]) {
      expect(openEarly(wanted, signal).take()).toBeUndefined();
    }
    expect(openSession).not.toHaveBeenCalled();
  });
});
