/**
 * esbuild plugin: of undici what src/ uses. Its index makes fetch, caches, cookies and WebSockets, for which it loads the other undici that is
 * Node's own; and its client loads HTTP/2, which nothing here asks for.
 */
import { readFileSync } from "node:fs";

const INDEX = `
Object.assign(require("undici/lib/dispatcher/dispatcher.js").prototype, require("undici/lib/api/index.js"));
exports.Agent = require("undici/lib/dispatcher/agent.js");
exports.EnvHttpProxyAgent = require("undici/lib/dispatcher/env-http-proxy-agent.js");
`;
const EAGER = "const connectH2 = require('./client-h2.js')";
const LAZY = "const connectH2 = (...given) => require('./client-h2.js')(...given)";

export const lazyUndici = {
  name: "lazy-undici",
  setup(build) {
    build.onResolve({ filter: /^undici$/ }, ({ path, resolveDir }) => ({
      path,
      namespace: "lazy-undici",
      pluginData: resolveDir,
    }));
    build.onLoad({ filter: /.*/, namespace: "lazy-undici" }, ({ pluginData: resolveDir }) => ({
      contents: INDEX,
      resolveDir,
      loader: "js",
    }));
    build.onLoad({ filter: /[\\/]undici[\\/]lib[\\/]dispatcher[\\/]client\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      if (!source.includes(EAGER)) return { errors: [{ text: `lazy-undici: no "${EAGER}" in ${path}` }] };
      return { contents: source.replace(EAGER, () => LAZY), loader: "js" };
    });
  },
};
