/**
 * `npm test`: sets up, then lint, types, rooms, sizes, generated code, Rust, unit, end-to-end and packaging tests.
 * A failing step does not hide the later ones. The last line is "N passed, N failed, N skipped".
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { addCargoToPath } from "./lib/rust.mjs";
import { output, ROOT, run, say } from "./lib/tools.mjs";
import { cargoTest, check, NOTHING, vitest } from "./test/step.mjs";
import { installOptionalTools } from "./test/tools.mjs";

const typesBefore = addonTypes();
if (run(process.execPath, ["scripts/setup.mjs"]) !== 0) {
  finish([{ name: "setup", seconds: 0, ...NOTHING, failed: 1 }]);
}
addCargoToPath();
installOptionalTools();

const node = (...args) => check(process.execPath, args);
const bin = (name, ...args) => check(join(ROOT, "node_modules/.bin", name), args);
const cargo = (...args) => check("cargo", args);
const MANIFEST = ["--manifest-path", "native/Cargo.toml"];

/** In order of how soon they tell. */
const STEPS = {
  biome: () => bin("biome", "check", "--error-on-warnings", "."),
  types: () => bin("tsc", "--noEmit"),
  rooms: () => node("scripts/lint-rooms.mjs"),
  sizes: () => node("scripts/lint-sizes.mjs"),
  "generated API": () => node("scripts/gen.mjs", "--check"),
  "generated addon types": checkAddonTypes,
  "cargo fmt": () => component("fmt", () => cargo("fmt", ...MANIFEST, "--all", "--check")),
  clippy: () =>
    component("clippy", () =>
      cargo("clippy", ...MANIFEST, "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"),
    ),
  "cargo test": () => cargoTest(["--workspace", "--all-features", "--no-fail-fast"]),
  unit: () => vitest("unit", ["--project", "unit"]),
  "e2e-beside": () => vitest("e2e-beside", ["--project", "e2e-beside"]),
  e2e: () => vitest("e2e", ["--project", "e2e"]),
};

const wanted = process.argv.slice(2);
const results = [];
for (const [name, step] of Object.entries(STEPS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  say(`\n== ${name}`);
  const start = Date.now();
  const counts = await step().catch((error) => ({ ...NOTHING, failed: 1, notes: [String(error)] }));
  results.push({ name, seconds: (Date.now() - start) / 1000, ...counts });
}
finish(results);

function addonTypes() {
  const file = join(ROOT, "native/index.d.ts");
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** Set-up may just have written the types anew: what counts is what was there before. */
async function checkAddonTypes() {
  if (typesBefore === addonTypes()) return node("scripts/build-native.mjs", "--check");
  return {
    ...NOTHING,
    failed: 1,
    notes: ["native/index.d.ts was not what the sources give: commit what set-up wrote"],
  };
}

/** rustup's minimal profile has neither clippy nor rustfmt. */
async function component(name, step) {
  if (output("cargo", [name, "--version"]) !== undefined) return step();
  return {
    ...NOTHING,
    skipped: 1,
    notes: [
      `SKIPPED: cargo ${name}: not installed (rustup component add ${name === "fmt" ? "rustfmt" : name})`,
    ],
  };
}

function finish(steps) {
  const sum = (key) => steps.reduce((total, step) => total + step[key], 0);
  process.stdout.write(
    `\n${"step".padEnd(24)}${"passed".padStart(8)}${"failed".padStart(8)}${"skipped".padStart(9)}${"seconds".padStart(9)}\n`,
  );
  for (const step of steps) {
    const numbers = `${String(step.passed).padStart(8)}${String(step.failed).padStart(8)}${String(step.skipped).padStart(9)}`;
    process.stdout.write(`${step.name.padEnd(24)}${numbers}${step.seconds.toFixed(1).padStart(9)}\n`);
    for (const note of step.notes) process.stdout.write(`  ${note}\n`);
  }
  process.stdout.write(`\n${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped\n`);
  process.exit(sum("failed") > 0 || sum("passed") === 0 ? 1 : 0);
}
