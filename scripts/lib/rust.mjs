/** Finds the Rust toolchain, or says what to install. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fail, output, ROOT } from "./tools.mjs";

/** "1.88", from native/Cargo.toml. */
function wantedVersion() {
  const cargoToml = readFileSync(join(ROOT, "native/Cargo.toml"), "utf8");
  return /^rust-version = "([\d.]+)"/m.exec(cargoToml)?.[1] ?? "1.88";
}

/** rustup's folder is often missing from the PATH of a fresh shell. */
export function addCargoToPath() {
  const bin = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin");
  const parts = (process.env.PATH ?? "").split(":");
  if (existsSync(join(bin, "cargo")) && !parts.includes(bin)) process.env.PATH = [...parts, bin].join(":");
}

/** Ends the process when cargo or rustc is missing or too old, or no C compiler is there. */
export function requireRust() {
  addCargoToPath();
  const wanted = wantedVersion();
  const install = `install rustup (https://rustup.rs: curl --proto '=https' -sSf https://sh.rustup.rs | sh), then run this again`;
  const version = output("rustc", ["--version"]);
  if (version === undefined || output("cargo", ["--version"]) === undefined) {
    fail(`Packetboat needs a Rust toolchain (${wanted} or newer) to build its engine: ${install}`);
  }
  const found = /rustc (\d+)\.(\d+)/.exec(version) ?? [];
  const [major = 0, minor = 0] = wanted.split(".").map(Number);
  if (Number(found[1]) < major || (Number(found[1]) === major && Number(found[2]) < minor)) {
    fail(
      `Packetboat needs Rust ${wanted} or newer to build its engine, this is ${version}: run "rustup update"`,
    );
  }
  if (output(process.env.CC ?? "cc", ["--version"]) === undefined) {
    fail(
      "Packetboat needs a C compiler to build its engine: install one (Debian: apt-get install build-essential)",
    );
  }
}
