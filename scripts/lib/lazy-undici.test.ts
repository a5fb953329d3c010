import { build } from "esbuild";
import { expect, test } from "vitest";
import { lazyUndici } from "./lazy-undici.mjs";

test("an error that ends a connection has no trace, others keep theirs", async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: 'module.exports = require("undici/lib/core/errors.js")',
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    plugins: [lazyUndici],
  });
  const module = { exports: {} as Readonly<Record<string, new (message: string) => Error>> };
  new Function("module", "exports", outputFiles[0]?.text ?? "")(module, module.exports);
  const { InformationalError, SocketError } = module.exports;
  const limit = Error.stackTraceLimit;
  const reset = InformationalError && new InformationalError("reset");
  expect(reset?.message).toBe("reset");
  expect(reset?.stack).not.toContain(" at ");
  expect(Error.stackTraceLimit).toBe(limit);
  expect(SocketError && new SocketError("lost").stack).toContain(" at ");
});
