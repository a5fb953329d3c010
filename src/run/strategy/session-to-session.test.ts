import { expect, it } from "vitest";
import { resolveOptions } from "../../model/transfer.ts";
import type { RunContext } from "../context.ts";
import { Reporter } from "../report.ts";
import { sessionToSession } from "./session-to-session.ts";

it("what an attempt has sent is counted for the next ones, before its sessions are closed", async () => {
  const reporter = new Reporter({ limitBytesPerSecond: 0, now: () => 0 });
  const sample = { lane: 0, bytesSent: 1_000, bytesRetransmitted: 100 };
  let isOpen = true;
  const session = { samples: () => (isOpen ? [sample] : []), transport: "udp" };
  const close = async () => {
    isOpen = false;
  };
  const openSession = async () => ({ connected: Promise.resolve(session), close });
  const end = (name: string) => ({
    path: "a",
    label: name,
    backend: { name, native: { kind: "session", peer: { name, openSession } } },
  });
  const context = {
    request: {
      sources: [end("box")],
      destination: end("other"),
      options: resolveOptions({}),
      resolved: [],
    },
    tools: { local: async () => ({ mkdir: async () => true, remove: async () => {} }), spoolParent: "/tmp" },
    reporter,
    signal: new AbortController().signal,
    begin: () => {},
    attempt: 1,
  };
  await sessionToSession(context as unknown as RunContext);
  reporter.stop();
  expect([isOpen, reporter.bytesSent]).toEqual([false, 900]);
});
