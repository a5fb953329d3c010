import { expect, it } from "vitest";
import { resolveOptions } from "../model/transfer.ts";
import { type RunContext, reportSession } from "./context.ts";

/** The codes of what is said of a session. */
function said(transport: "tcp" | "udp", controller: "" | "ledbat"): string[] {
  const codes: string[] = [];
  const reporter = { transport: () => {}, notice: (code: string) => void codes.push(code) };
  const request = { options: resolveOptions({ controller }) };
  const context = { request, reporter } as unknown as RunContext;
  const note = transport === "tcp" ? "UDP is blocked; using TCP" : undefined;
  reportSession(context, { transport, note } as Parameters<typeof reportSession>[1]);
  return codes;
}

it("says that a transfer that fell back to TCP gives way to nobody", () => {
  expect(said("tcp", "ledbat")).toEqual(["fallback-tcp", "not-background"]);
  expect(said("tcp", "")).toEqual(["fallback-tcp"]);
  expect(said("udp", "ledbat")).toEqual([]);
});
