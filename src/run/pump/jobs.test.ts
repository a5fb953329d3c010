import { expect, it } from "vitest";
import type { Endpoint } from "../request.ts";
import { parallelFilesInto } from "./jobs.ts";

function endpoint(chunks: { readonly maxCalls: number; readonly maxFiles?: number }): Endpoint {
  return { backend: { native: { kind: "chunks", chunks } } } as unknown as Endpoint;
}

it("has as many large files in flight as the endpoint keeps connections for", () => {
  const many = parallelFilesInto(endpoint({ maxCalls: 8 }));
  expect(many).toBeGreaterThan(8);
  expect(parallelFilesInto(endpoint({ maxCalls: 8, maxFiles: 7 }))).toBe(7);
  expect(parallelFilesInto(endpoint({ maxCalls: 64, maxFiles: 1_000 }))).toBe(many);
  expect(parallelFilesInto(undefined)).toBe(0);
});
