/**
 * esbuild plugin: of undici what src/ uses. Its index makes fetch, caches, cookies and WebSockets, for which it loads the other undici that is
 * Node's own; and its client loads HTTP/2, which nothing here asks for. Each connection that a server closes after its reply ends with an error that nobody
 * hears (but Node, which writes its trace): it is made without one (docs/design/0012).
 */
import { readFileSync } from "node:fs";

const INDEX = `
Object.assign(require("undici/lib/dispatcher/dispatcher.js").prototype, require("undici/lib/api/index.js"));
exports.Agent = require("undici/lib/dispatcher/agent.js");
exports.EnvHttpProxyAgent = require("undici/lib/dispatcher/env-http-proxy-agent.js");
`;
const EAGER = "const connectH2 = require('./client-h2.js')";
const LAZY = "const connectH2 = (...given) => require('./client-h2.js')(...given)";
const INFORMATIONAL =
  "class InformationalError extends UndiciError {\n  constructor (message) {\n    super(message)\n";
const TRACELESS = INFORMATIONAL.replace(
  "    super(message)\n",
  "    const { stackTraceLimit } = Error\n    Error.stackTraceLimit = 0\n    super(message)\n    Error.stackTraceLimit = stackTraceLimit\n",
);
/** Files of undici, and what is another text in them. */
const CHANGED = [
  { filter: /[\\/]undici[\\/]lib[\\/]dispatcher[\\/]client\.js$/, from: EAGER, to: LAZY },
  { filter: /[\\/]undici[\\/]lib[\\/]core[\\/]errors\.js$/, from: INFORMATIONAL, to: TRACELESS },
];

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
    for (const { filter, from, to } of CHANGED)
      build.onLoad({ filter }, ({ path }) => {
        const source = readFileSync(path, "utf8");
        if (!source.includes(from)) return { errors: [{ text: `lazy-undici: no "${from}" in ${path}` }] };
        return { contents: source.replace(from, () => to), loader: "js" };
      });
  },
};
