import { mkdir, mkdtemp, readFile, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { PbError } from "../../model/error.ts";
import type { Shell } from "../context.ts";
import { formatTable } from "../render/text.ts";
import {
  formatBytes,
  formatCount,
  formatRate,
  formatRatio,
  formatRtt,
  formatSeconds,
} from "../render/units.ts";
import { difference } from "./compare.ts";
import { makeFile, makeTree } from "./data.ts";
import { type Launch, runPb, startServer } from "./process.ts";

export interface DemoOptions {
  readonly bytes: number;
  readonly files: number;
  /** Where the temporary folder is made. */
  readonly parent?: string;
}

const receiptShape = z.looseObject({
  state: z.string(),
  bytes: z.number(),
  files: z.number(),
  seconds: z.number(),
  bytesPerSecond: z.number(),
  transport: z.string(),
  sealed: z.boolean(),
  verified: z.string(),
  rttMs: z.number(),
  lossRate: z.number(),
  retransmittedBytes: z.number(),
  hashes: z.array(z.object({ path: z.string(), blake3: z.string() })),
});
type Receipt = z.infer<typeof receiptShape>;

interface Step {
  readonly title: string;
  readonly receipt: Receipt;
}

/** The source, server A's copy and what came back are there at once; server B's copy takes the place of the last. */
const COPIES = 3;
/** Folder entries and journals. */
const SPARE_BYTES = 256 * 1024 * 1024;

/** Runs the demo; whatever happens, servers are stopped and the folder is removed. */
export async function runDemo(shell: Shell, options: DemoOptions): Promise<void> {
  const parent = options.parent ?? tmpdir();
  await checkSpace(parent, options);
  const home = await mkdtemp(join(parent, "pb-demo-"));
  try {
    await new Demo(shell, home, options).run();
  } finally {
    await rm(home, { recursive: true, force: true });
    say(shell, "", "Stopped the servers and removed the folder.");
  }
}

async function checkSpace(parent: string, { bytes, files }: DemoOptions): Promise<void> {
  const { bavail, bsize } = await statfs(parent);
  // 20 KiB: a small file of the mean size, in blocks.
  const needed = COPIES * (bytes + files * 20 * 1024) + SPARE_BYTES;
  if (bavail * bsize >= needed) return;
  throw new PbError(
    "no_space",
    `${parent} has ${formatBytes(bavail * bsize)} free, the demo needs ${formatBytes(needed)}`,
    {
      path: parent,
      hint: "Give --size 256M for a smaller file, or --dir for another place.",
    },
  );
}

function say({ log }: Shell, ...lines: readonly string[]): void {
  for (const line of lines) log.log("warn", line);
}

class Demo {
  readonly #shell: Shell;
  readonly #home: string;
  readonly #options: DemoOptions;
  readonly #launch: Launch;
  readonly #steps: Step[] = [];

  constructor(shell: Shell, home: string, options: DemoOptions) {
    this.#shell = shell;
    this.#home = home;
    this.#options = options;
    const env = { ...process.env, PB_HOME: join(home, "client") };
    this.#launch = { self: shell.self, cwd: join(home, "work"), env, signal: shell.signal };
  }

  async run(): Promise<void> {
    await this.#makeData();
    await using a = await this.#server("a");
    await using b = await this.#server("b");
    say(this.#shell, `Two servers run here, A on port ${a.port}, B on port ${b.port}. Each has invited us:`);
    await this.#pb(["remote", "add", "a", a.invite, "--quiet"], "pb remote add a INVITE");
    await this.#pb(["remote", "add", "b", b.invite, "--quiet"], "pb remote add b INVITE");
    await this.#roundTripOfFile();
    await this.#roundTripOfTree();
    await this.#toB();
    await this.#print();
  }

  async #makeData(): Promise<void> {
    const { bytes, files } = this.#options;
    const { signal } = this.#shell;
    say(
      this.#shell,
      `Making a file of ${formatBytes(bytes)} and a tree of ${formatCount(files)} small files in ${this.#home}`,
    );
    for (const name of ["client", "work", "back", "a", "b"]) await mkdir(this.#path(name));
    await makeFile(this.#path("work", "big"), bytes, signal);
    await makeTree(this.#path("work", "tree"), files, signal);
  }

  #path(...names: readonly string[]): string {
    return join(this.#home, ...names);
  }

  #server(name: string) {
    return startServer(this.#launch, {
      root: this.#path(name),
      state: this.#path(`${name}-state`),
      logFile: this.#path(`${name}.log`),
    });
  }

  async #roundTripOfFile(): Promise<void> {
    const up = await this.#transfer("file up to A", ["big", "a:/"]);
    await this.#compare("big", "a/big");
    const down = await this.#transfer("file down from A", ["a:/big", "../back/"]);
    await this.#compare("big", "back/big");
    const [sent, received] = [up.hashes[0]?.blake3, down.hashes[0]?.blake3];
    if (sent === undefined || sent !== received) {
      throw new PbError("verification_failed", `BLAKE3 differs: ${sent} went up, ${received} came down`);
    }
    say(this.#shell, `Equal, byte for byte. BLAKE3 both ways:\n${sent}`);
    await rm(this.#path("back", "big"));
  }

  async #roundTripOfTree(): Promise<void> {
    await this.#transfer("tree up to A", ["tree", "a:/tree"]);
    await this.#compare("tree", "a/tree");
    await this.#transfer("tree down from A", ["a:/tree", "../back/tree"]);
    await this.#compare("tree", "back/tree");
    say(this.#shell, "Equal: names, bytes, modes, times, links.");
  }

  async #toB(): Promise<void> {
    await this.#transfer("both up to B", ["big", "tree", "b:/"]);
    await this.#compare("big", "b/big");
    await this.#compare("tree", "b/tree");
    say(this.#shell, "Equal.");
  }

  async #transfer(title: string, words: readonly string[]): Promise<Receipt> {
    const file = this.#path("receipt.json");
    await this.#pb(["transfer", ...words, "--receipt", file], `pb transfer ${words.join(" ")}`);
    const receipt = receiptShape.parse(JSON.parse(await readFile(file, "utf8")));
    this.#steps.push({ title, receipt });
    return receipt;
  }

  async #pb(args: readonly string[], shown: string): Promise<void> {
    say(this.#shell, "", `$ ${shown}`);
    const code = await runPb(this.#launch, this.#shell.log.isEnabled("warn") ? args : [...args, "--quiet"]);
    if (code !== 0)
      throw new PbError("internal", `the demo stops: \`${shown}\` ended with exit code ${code}`);
  }

  /** `source` is below work/, `copy` below the demo's folder. */
  async #compare(source: string, copy: string): Promise<void> {
    const found = await difference(this.#path("work", source), this.#path(copy), this.#shell.signal);
    if (found !== undefined)
      throw new PbError("verification_failed", `the copy differs from its source: ${found}`);
  }

  async #print(): Promise<void> {
    const { out } = this.#shell;
    const receipts = this.#steps.map(({ title, receipt }) => ({ step: title, ...receipt }));
    await out.record(
      { equal: true, receipts },
      `\nReceipts, all verified by BLAKE3:\n\n${receiptTable(this.#steps)}`,
    );
  }
}

function receiptTable(steps: readonly Step[]): string {
  const columns = [
    { title: "STEP" },
    { title: "BYTES", right: true },
    { title: "FILES", right: true },
    { title: "TIME", right: true },
    { title: "RATE", right: true },
    { title: "TRANSPORT" },
    { title: "RTT", right: true },
    { title: "LOSS", right: true },
  ];
  const rows = steps.map(({ title, receipt }) => [
    title,
    formatBytes(receipt.bytes),
    formatCount(receipt.files),
    formatSeconds(receipt.seconds),
    formatRate(receipt.bytesPerSecond),
    `${receipt.transport}${receipt.sealed ? " sealed" : ""}`,
    formatRtt(receipt.rttMs),
    formatRatio(receipt.lossRate),
  ]);
  return formatTable(columns, rows);
}
