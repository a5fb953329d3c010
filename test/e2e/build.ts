import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The tests here run `bin/pb`: the bundle must be of these sources. */
export default function setup(): void {
  const script = fileURLToPath(new URL("../../scripts/build.mjs", import.meta.url));
  execFileSync(process.execPath, [script, "--if-changed"], { stdio: ["ignore", "inherit", "inherit"] });
}
