/**
 * From esbuild's chunks (modules that import each other) to what bin/pb loads: CommonJS, of which those that every transfer needs are one
 * file. A module costs Node 1 ms to find, read and link, and V8 keeps compiled code (docs/design/0014-start.md) for scripts alone.
 *
 * A pack is an expression, an object of functions by the name of their chunk; its last line is its SHA-256, which its compiled code repeats.
 */
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** What bin/pb reads first. */
const MAIN = "main.js";
/** What a chunk finds in place of what only modules have; `url` is that of its pack. */
const WRAPPER = "function(exports,require,module,__dirname,__pbUrl){";

/**
 * Rewrites the chunks of a folder as packs. `packs`: by the name of a pack the sources whose chunks are in it, with all that they import
 * statically and no pack before has; every other chunk is a pack of its own. main.js, the first, says by the names of chunks which pack has them.
 */
export async function pack({ folder, metafile, packs, target }) {
  const { transform } = await import("esbuild");
  const chunks = chunksOf(metafile);
  const packed = new Map();
  const found = new Set();
  for (const [file, sources] of Object.entries(packs)) {
    const before = new Set(found);
    closure(chunks, sources, found);
    packed.set(
      file,
      [...found].filter((name) => !before.has(name)),
    );
  }
  const code = async (name) => {
    const file = join(folder, name);
    const text = readFileSync(file, "utf8").replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
    return transform(`${text}${inline(readFileSync(`${file}.map`, "utf8"))}`, {
      sourcefile: name,
      format: "cjs",
      platform: "node",
      target,
      sourcemap: "external",
      sourcesContent: false,
      minifySyntax: true,
      minifyWhitespace: true,
      legalComments: "none",
      define: { "import.meta.url": "__pbUrl", "import.meta.dirname": "__dirname" },
      // import() of what is in a pack, or of Node's own, needs none of Node's loader for modules.
      supported: { "dynamic-import": false },
    });
  };
  for (const name of chunks.keys()) if (!found.has(name)) packed.set(name, [name]);
  const index = [...packed].flatMap(([file, names]) =>
    file in packs && file !== MAIN ? names.map((name) => [name, file]) : [],
  );
  for (const [file, names] of packed) {
    const parts = await Promise.all(names.map(async (name) => ({ name, ...(await code(name)) })));
    for (const name of names) for (const old of [name, `${name}.map`]) rmSync(join(folder, old));
    await writePack(join(folder, file), { parts, index: file === MAIN ? index : [] });
  }
  writeFileSync(join(folder, "package.json"), '{"type":"commonjs"}\n');
}

/** By name: the sources they are the entry of, and the chunks they import statically. */
function chunksOf({ outputs }) {
  const chunks = new Map();
  for (const [path, { entryPoint, imports }] of Object.entries(outputs)) {
    if (!path.endsWith(".js")) continue;
    const needs = imports.filter(({ kind, external }) => kind === "import-statement" && !external);
    chunks.set(basename(path), { entryPoint, needs: needs.map((each) => basename(each.path)) });
  }
  return chunks;
}

/** Adds to `found` the chunks of some sources, and what they import statically. */
function closure(chunks, sources, found) {
  const add = (name) => {
    if (found.has(name)) return;
    found.add(name);
    for (const each of chunks.get(name).needs) add(each);
  };
  for (const entry of sources) {
    const names = [...chunks].filter(([, { entryPoint }]) => entryPoint === entry).map(([name]) => name);
    if (names.length !== 1)
      throw new Error(`pack: ${entry} is the entry of ${names.length} chunks, not of one`);
    add(names[0]);
  }
}

async function writePack(file, { parts, index }) {
  const { transform } = await import("esbuild");
  // As a script it is the object, as a module it exports it.
  let text = '(typeof module==="object"?module:{}).exports={\n';
  const sections = [];
  for (const { name, code, map } of parts) {
    text += `${JSON.stringify(name)}:${WRAPPER}\n`;
    sections.push({ offset: { line: text.split("\n").length - 1, column: 0 }, map: JSON.parse(map) });
    text += `${code}},\n`;
  }
  for (const [name, other] of index) text += `${JSON.stringify(name)}:${JSON.stringify(other)},\n`;
  text += "};\n";
  // Node takes no map of sections: esbuild makes one of them.
  const joined = await transform(`${text}${inline(JSON.stringify({ version: 3, sections }))}`, {
    sourcefile: basename(file),
    sourcemap: "external",
    sourcesContent: false,
    minifyWhitespace: true,
  });
  const map = JSON.parse(joined.map);
  // esbuild wrote two folders down (.cache/dist-…), dist/ is one.
  map.sources = map.sources.map((source) => source.replace(/^\.\.\//, ""));
  const script = `${joined.code}//# sourceMappingURL=${basename(file)}.map\n`;
  if (/[^\0-\x7f]/.test(script))
    throw new Error(`pack: ${file} is not ASCII, and bin/pb reads it as Latin-1`);
  writeFileSync(file, `${script}//${createHash("sha256").update(script).digest("hex")}`);
  writeFileSync(`${file}.map`, JSON.stringify(map));
}

function inline(map) {
  return `//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString("base64")}\n`;
}
