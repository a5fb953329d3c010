/** The licences of what is bundled must travel with it. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./tools.mjs";

/** @param inputs paths of bundled files, relative to the checkout */
export function writeLicences(inputs, file) {
  const folders = new Set(inputs.map(packageFolder).filter((folder) => folder !== undefined));
  const parts = [...folders].sort().map(licenceOf);
  writeFileSync(file, `Packages bundled into this folder, and their licences.\n\n${parts.join("\n")}`);
}

function packageFolder(input) {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
}

function licenceOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8"));
  const texts = readdirSync(join(ROOT, folder))
    .filter((entry) => /^(licen[cs]e|copying|notice)/i.test(entry))
    .map((entry) => readFileSync(join(ROOT, folder, entry), "utf8").trim());
  const head = `${"=".repeat(78)}\n${name} ${version} (${license ?? "see below"})\n${"=".repeat(78)}`;
  return `${head}\n${texts.join("\n\n")}\n`;
}
