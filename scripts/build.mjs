/**
 * Bundles src/cli/main.ts and what it imports into dist/, split so that a command loads only what it needs.
 * `--if-changed`: does nothing when nothing changed since the last time.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callHeaders } from "./lib/call-headers.mjs";
import { cjsNames } from "./lib/cjs-names.mjs";
import { fileDescs } from "./lib/file-desc.mjs";
import { lazyUndici } from "./lib/lazy-undici.mjs";
import { lazyWidth } from "./lib/lazy-width.mjs";
import { writeLicences } from "./lib/licences.mjs";
import { pack } from "./lib/pack.mjs";
import { filesBelow, hashFiles, isFresh, ROOT, run, say, setFresh } from "./lib/tools.mjs";

const DIST = join(ROOT, "dist");
const TARGET = "node20.20";
/** A copy of one byte that takes longer stands still. */
const COMPILE_MS = 60_000;
const PACKS = {
  // What every transfer needs, and so nearly every command.
  "main.js": ["src/cli/main.ts", "src/cli/commands/transfer.ts", "src/daemon/daemon.ts"],
  // And that with a server at one end.
  "remote.js": ["src/backend/pb/connection.ts"],
  // And each kind of endpoint; webdav has the client of http.
  "http.js": ["src/backend/http/backend.ts"],
  "webdav.js": ["src/backend/webdav/backend.ts"],
  "s3.js": ["src/backend/s3/backend.ts"],
  "sftp.js": ["src/backend/sftp/backend.ts"],
  "ftp.js": ["src/backend/ftp/backend.ts"],
};
const sources = filesBelow("src", "scripts", "package.json", "package-lock.json").filter(
  (file) => !file.endsWith(".test.ts"),
);
const hash = hashFiles(sources);
if (!process.argv.includes("--if-changed") || !isFresh("dist", hash) || !existsSync(join(DIST, "main.js"))) {
  await build().catch((error) => {
    // esbuild has said what is wrong and where.
    if (!Array.isArray(error?.errors)) throw error;
    process.exit(1);
  });
  setFresh("dist", hash);
}

async function build() {
  const { build: bundle } = await import("esbuild");
  const staging = join(ROOT, `.cache/dist-${process.pid}`);
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const result = await bundle({
    absWorkingDir: ROOT,
    entryPoints: { main: "src/cli/main.ts" },
    outdir: staging,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: TARGET,
    // All in one folder: what is beside the package (the addon) is one level up from every chunk.
    chunkNames: "[name]-[hash]",
    sourcemap: "linked",
    sourcesContent: false,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    metafile: true,
    mainFields: ["module", "main"],
    plugins: [cjsNames, lazyWidth, lazyUndici, callHeaders, fileDescs],
    // ssh2's addons are optional: without them it uses Node's own ciphers, which is what a user who installs the tarball has.
    external: ["*.node"],
    define: { __PB_VERSION__: JSON.stringify(version) },
    logLevel: "warning",
    // The wrappers of cjs-names name every export that may be there.
    logOverride: { "import-is-undefined": "silent" },
  });
  writeLicences(Object.keys(result.metafile.inputs), join(staging, "THIRD-PARTY-LICENCES.txt"));
  writeFileSync(join(ROOT, ".cache/meta.json"), JSON.stringify(result.metafile));
  await pack({ folder: staging, metafile: result.metafile, packs: PACKS, target: TARGET });
  swap(staging);
  // Without the addon, which may come later, this gives less, and no more than time is lost.
  for (const end of ["local", "remote", "http", "s3-get", "s3-put"]) {
    run(process.execPath, ["scripts/lib/compile-ahead.mjs", join(ROOT, "bin/pb"), end], {
      stdio: "ignore",
      timeout: COMPILE_MS,
    });
  }
  const bytes = Object.entries(result.metafile.outputs)
    .filter(([name]) => name.endsWith(".js"))
    .reduce((sum, [, file]) => sum + file.bytes, 0);
  say(`build: dist/ (${Math.round(bytes / 1024)} KiB of JavaScript)`);
}

/** The old bundle stays whole until the new one is there. */
function swap(staging) {
  const old = join(ROOT, `.cache/dist-old-${process.pid}`);
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  if (existsSync(DIST)) renameSync(DIST, old);
  renameSync(staging, DIST);
  rmSync(old, { recursive: true, force: true });
}
