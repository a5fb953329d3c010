/** native/THIRD-PARTY-LICENCES.txt: the crates linked into the addon, with their licences. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { addCargoToPath } from "./lib/rust.mjs";
import { fail, output, ROOT } from "./lib/tools.mjs";

addCargoToPath();
const text = output("cargo", [
  "metadata",
  "--format-version",
  "1",
  "--locked",
  "--manifest-path",
  "native/Cargo.toml",
]);
if (text === undefined) fail("crate-licences: cargo metadata failed");
const { packages, resolve } = JSON.parse(text);
const byId = new Map(packages.map((entry) => [entry.id, entry]));
const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));

const linked = new Set();
visit(packages.find(({ name }) => name === "pb-node").id);
const parts = [...linked]
  .map((id) => byId.get(id))
  .filter(({ source }) => source !== null)
  .sort((a, b) => (a.name < b.name ? -1 : 1))
  .map(licenceOf);
const head = "Crates linked into the addon in this folder, and their licences.";
writeFileSync(join(ROOT, "native/THIRD-PARTY-LICENCES.txt"), `${head}\n\n${parts.join("\n")}`);

/** What is linked: neither build nor development dependencies. */
function visit(id) {
  if (linked.has(id)) return;
  linked.add(id);
  for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
    if (kinds.some(({ kind }) => kind === null)) visit(pkg);
  }
}

function licenceOf({ name, version, license, manifest_path: manifest }) {
  const folder = dirname(manifest);
  const texts = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file) && !/\.(rs|toml)$/.test(file))
    .flatMap((file) => readText(join(folder, file)));
  const line = "=".repeat(78);
  return `${line}\n${name} ${version} (${license ?? "see below"})\n${line}\n${texts.join("\n\n")}\n`;
}

function readText(path) {
  try {
    return [readFileSync(path, "utf8").trim()];
  } catch {
    // A folder of licences: their files are named in the crate's manifest too.
    return [];
  }
}
