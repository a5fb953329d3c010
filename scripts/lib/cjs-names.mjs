/**
 * esbuild plugin: `const { pino } = await import("pino")` of a CommonJS package gives its named exports, as it does in Node;
 * esbuild alone gives `default` only.
 */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, extname, join } from "node:path";
// @peculiar/x509 cannot be loaded without it, and which package is asked first is a matter of luck.
import "reflect-metadata";

export const cjsNames = {
  name: "cjs-names",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, async ({ path, kind, resolveDir, namespace }) => {
      if (kind !== "dynamic-import" || isBuiltin(path) || namespace === "cjs-names") return undefined;
      const found = await build.resolve(path, { kind: "import-statement", resolveDir });
      if (found.errors.length > 0 || isModule(found.path)) return undefined;
      return { path, namespace: "cjs-names", pluginData: resolveDir };
    });
    build.onLoad({ filter: /.*/, namespace: "cjs-names" }, async ({ path, pluginData: resolveDir }) => {
      const names = Object.keys(await import(path)).filter((name) =>
        /^(?!default$)[A-Za-z_$][\w$]*$/.test(name),
      );
      const lines = names.map((name) => `export const ${name} = all.${name};`);
      const contents = `import * as all from ${JSON.stringify(path)};\n${lines.join("\n")}\nexport default all.default;`;
      return { contents, resolveDir, loader: "js" };
    });
  },
};

function isModule(path) {
  if (extname(path) === ".mjs") return true;
  if (extname(path) === ".cjs") return false;
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).type === "module";
    } catch {
      // The next folder up.
    }
  }
  return false;
}
