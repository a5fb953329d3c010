import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { PB, run } from "./lib/process.ts";
import { writeRandomFile } from "./lib/random.ts";

/** What the receipt blames, where something other than the machine is made to be the slowest by far. */
let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
  await mkdir(pair.scratch.at("here"));
});
afterAll(() => pair?.[Symbol.asyncDispose]());

/** A shell command in which `$PB` is the program and `$HERE` a folder; the receipt that it wrote to `$HERE/NAME.json`. */
async function blamed(name: string, command: string) {
  const here = pair.scratch.at("here");
  const result = await run("bash", ["-c", `set -o pipefail; ${command}`], {
    env: { PB, HERE: here, RECEIPT: join(here, `${name}.json`), PB_HOME: pair.home },
  });
  expect(result.code, result.stderr).toBe(0);
  return JSON.parse(await readFile(join(here, `${name}.json`), "utf8")) as { readonly limitedBy: string };
}

test.each(["udp", "tcp"])("%s: a pipe that gives slowly is the source", async (transport) => {
  const slowly = "for i in $(seq 15); do head -c 200000 /dev/zero; sleep 0.1; done";
  const up = `"$PB" cp --transport ${transport} --receipt "$RECEIPT" - box:/${transport}-piped`;
  expect(await blamed(`source-${transport}`, `(${slowly}) | ${up}`)).toMatchObject({
    limitedBy: "application",
  });
});

test.each(["udp", "tcp"])("%s: who reads standard output slowly is the receiver", async (transport) => {
  await writeRandomFile(join(pair.root, `${transport}-big`), 24 << 20, "limited");
  const down = `"$PB" cp --transport ${transport} --memory 8M --receipt "$RECEIPT" box:/${transport}-big -`;
  const slowly = "for i in $(seq 30); do head -c 1000000 >/dev/null; sleep 0.1; done";
  const { limitedBy } = await blamed(`receiver-${transport}`, `${down} | (${slowly})`);
  expect(limitedBy).toBe("receiver");
});

test("within this machine, too, a slow pipe is the source and a slow reader the receiver", async () => {
  const give = "for i in $(seq 8); do head -c 200000 /dev/zero; sleep 0.1; done";
  const from = await blamed("local-source", `(${give}) | "$PB" cp --receipt "$RECEIPT" - "$HERE/piped"`);
  expect(from.limitedBy).toBe("application");
  await writeRandomFile(pair.scratch.at("here", "read-slowly"), 24 << 20, "limited");
  const take = "for i in $(seq 20); do head -c 1500000 >/dev/null; sleep 0.1; done";
  const out = `"$PB" cp --memory 8M --receipt "$RECEIPT" "$HERE/read-slowly" -`;
  expect((await blamed("local-receiver", `${out} | (${take})`)).limitedBy).toBe("receiver");
});

test.each(["udp", "tcp"])("%s: a rate that was asked for is the limit", async (transport) => {
  await writeRandomFile(pair.scratch.at("here", "file"), 6 << 20, "limited");
  const up = `"$PB" cp --transport ${transport} --limit 2M --receipt "$RECEIPT"`;
  const { limitedBy } = await blamed(`limit-${transport}`, `${up} "$HERE/file" box:/${transport}-limited`);
  expect(limitedBy).toBe("limit");
});

test("how often a byte was copied is counted, by the way it really went", async () => {
  const file = pair.scratch.at("here", "copied");
  await writeRandomFile(file, 8 << 20, "copied");
  const steps = async (...args: string[]) => {
    const receipt = (await pair.ok(["cp", "--json", "--overwrite", "always", ...args])).json<{
      readonly copiesPerByte: number;
      readonly copies: readonly { readonly side: string; readonly step: string; readonly perByte: number }[];
    }>();
    const sum = receipt.copies.reduce((all, { perByte }) => all + perByte, 0);
    expect(receipt.copiesPerByte).toBeCloseTo(sum);
    // Announcements are copied, too.
    const much = receipt.copies.filter(({ perByte }) => perByte > 0.05);
    return Object.fromEntries(much.map(({ side, step, perByte }) => [`${side} ${step}`, perByte]));
  };
  const about = (times: number) => expect.closeTo(times, 0);
  const sealed = [
    "sender read",
    "sender seal",
    "sender send",
    "receiver receive",
    "receiver open",
    "receiver write",
  ];
  for (const transport of ["udp", "tcp"]) {
    const up = await steps("--transport", transport, file, `box:/${transport}-copied`);
    expect(up).toMatchObject(Object.fromEntries(sealed.map((step) => [step, about(1)])));
    const down = await steps(
      "--discard",
      "--transport",
      transport,
      `box:/${transport}-copied`,
      pair.scratch.at("no"),
    );
    expect(down).toMatchObject({ "sender send": about(1), "receiver open": about(1) });
    expect(down).not.toHaveProperty("receiver write");
  }
  // Straight from the page cache into the socket, and out of it into place.
  const clear = await steps("--transport", "tcp", "--seal", "off", file, "box:/clear");
  expect(clear).toMatchObject({
    "sender read": about(1),
    "receiver receive": about(1),
    "receiver write": about(1),
  });
  for (const step of ["sender send", "sender seal", "receiver open"]) expect(clear).not.toHaveProperty(step);
  // Buffers change hands.
  expect(await steps(file, pair.scratch.at("here", "local"))).toEqual({
    "sender read": about(1),
    "receiver write": about(1),
  });
});
