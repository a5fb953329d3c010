/** `npm run netlab -- check FILE [--seconds N] [--emulator]`, `npm run netlab -- up FILE` */
import { parseArgs } from "node:util";
import { check, table } from "./check.ts";
import { createLab, type Lab } from "./lab.ts";
import { whyNoLab } from "./shell.ts";
import { readTopology } from "./topology.ts";

const USAGE = `usage:
  npm run netlab -- check FILE [--seconds N] [--emulator]   what the links of a topology really give
  npm run netlab -- up FILE                                 makes it and keeps it until Ctrl-C`;
/** Of each stream: long enough for TCP to leave slow start at 100 ms. */
const DEFAULT_SECONDS = 6;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: "string" }, emulator: { type: "boolean", default: false } },
  });
  const [verb, file] = positionals;
  if (file === undefined || (verb !== "check" && verb !== "up")) throw new Error(USAGE);
  const seconds = Number(values.seconds ?? DEFAULT_SECONDS);
  if (!Number.isFinite(seconds) || seconds < 1) throw new Error("--seconds: a number from 1 on");
  const topology = readTopology(file);
  const why = whyNoLab();
  if (why !== undefined) throw new Error(`no network namespaces here: ${why}`);
  await using lab = await createLab(topology, { backend: values.emulator ? "emulator" : "auto" });
  const say = (line: string) => process.stderr.write(`netlab: ${line}\n`);
  if (verb === "up") await keep(lab);
  else process.stdout.write(`${table(await check(lab, { seconds, say }))}\n`);
}

async function keep(lab: Lab): Promise<void> {
  for (const { namespace, addresses } of lab.hosts) {
    const list = addresses.map(({ address, link }) => `${address} (${link})`).join(", ");
    process.stdout.write(`ip netns exec ${namespace} COMMAND   ${list}\n`);
  }
  await new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, resolve);
  });
}

await main().catch((error: unknown) => {
  process.stderr.write(`netlab: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
