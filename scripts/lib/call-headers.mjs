/** esbuild plugin: ConnectRPC has headers of our own (src/wire/call-headers.ts) where it asks for the global ones. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./tools.mjs";

const OURS = join(ROOT, "src/wire/call-headers.ts");

export const callHeaders = {
  name: "call-headers",
  setup(build) {
    build.onLoad({ filter: /[\\/]@connectrpc[\\/]connect(-node)?[\\/].*\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      if (!/\bnew Headers\(/.test(source)) return undefined;
      const contents = `import { CallHeaders as Headers } from ${JSON.stringify(OURS)};${source}`;
      return { contents, loader: "js" };
    });
  },
};
