import { expect, it, vi } from "vitest";
import type { Backend } from "./backend.ts";
import { createBackends } from "./registry.ts";

it("a remote that is another now is opened anew, and both are closed at the end", async () => {
  const made: { close: () => Promise<void> }[] = [];
  const backends = createBackends({
    local: () => Promise.reject(new Error()),
    pb: async () => {
      const backend = { close: vi.fn(async () => {}) };
      made.push(backend);
      return backend as Partial<Backend> as Backend;
    },
    endpoints: {},
    configs: { get: async () => ({ kind: "pb", settings: {}, secret: async () => undefined }) },
    tools: { home: "", env: {} },
  });
  const { signal } = new AbortController();
  const first = await backends.open("box", signal);
  expect(await backends.open("box", signal)).toBe(first);
  backends.renew("box");
  backends.renew("other");
  const second = await backends.open("box", signal);
  expect(second).not.toBe(first);
  expect(first.close).not.toHaveBeenCalled();
  await backends.close();
  expect(made.map(({ close }) => vi.mocked(close).mock.calls.length)).toEqual([1, 1]);
});
