import { format, inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { Secret } from "./endpoint.ts";

describe("a secret", () => {
  const secret = new Secret("hunter2");
  it.each([
    ["text", () => `${secret}`],
    ["concatenation", () => `a${String(secret)}`],
    ["JSON", () => JSON.stringify({ secret, list: [secret] })],
    ["inspection", () => inspect({ secret }, { depth: 9, showHidden: true })],
    ["console", () => format("%s %o %O %j", secret, secret, secret, secret)],
    ["keys", () => JSON.stringify([Reflect.ownKeys(secret), Object.entries(secret), { ...secret }])],
    ["an error", () => inspect(new Error(`failed with ${secret}`, { cause: { secret } }))],
    ["a structured clone", () => inspect(structuredClone(secret))],
  ])("does not show itself as %s", (_what, show) => {
    expect(show()).not.toContain("hunter2");
  });

  it("is given to who asks by name", () => expect(secret.reveal()).toBe("hunter2"));
});
