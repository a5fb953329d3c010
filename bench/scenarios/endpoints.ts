import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeRandomFile } from "../../test/e2e/lib/random.ts";
import { type Direction, peersOf } from "../endpoints/peers.ts";
import { type EndpointServer, SERVERS } from "../endpoints/servers.ts";
import { inScratch } from "../lib/folder.ts";
import { measure } from "../measure.ts";
import { createLab } from "../netlab/lab.ts";
import { whyNoLab } from "../netlab/shell.ts";
import { resolveTopology } from "../netlab/topology.ts";
import { type Outcome, outcomeOf } from "../outcome.ts";
import { makeReport } from "../report.ts";
import type { Hosts } from "../run.ts";
import type { LabOptions, LabScenario } from "../scenario.ts";
import { TRANSFER_NODE } from "../wan/rows.ts";
import type { Size, Work } from "../work.ts";
import { makeTree } from "./many-files.ts";

const LOOPBACK: Hosts = { from: { address: "127.0.0.1" }, to: { address: "127.0.0.1" } };
const MIB = 2 ** 20;
const bytesOfFile = ({ quick }: Size) => (quick ? 128 : 1024) * MIB;
const filesOfTree = ({ quick }: Size) => (quick ? 500 : 2000);

interface Row {
  readonly name: string;
  readonly server: EndpointServer;
  readonly direction: Direction;
  readonly work: "file" | "tree";
  /** Over the link instead of loopback. */
  readonly isFar: boolean;
}

/** A link that neither end's processor is the bound of: what is measured is who fills it. */
const FAR_RATE_MBIT = 500;
const FAR_RTT_MS = 50;

const NEAR_ROWS: readonly Row[] = SERVERS.flatMap((server) =>
  (server.uploads ? (["down", "up"] as const) : (["down"] as const)).flatMap((direction) =>
    (["file", "tree"] as const).map((work) => ({
      name: `${server.kind}-${direction}-${work}`,
      server,
      direction,
      work,
      isFar: false,
    })),
  ),
);

const ROWS: readonly Row[] = [
  ...NEAR_ROWS,
  ...NEAR_ROWS.map((row) => ({ ...row, name: `far-${row.name}`, isFar: true })),
];

/** rclone has been seen to stand still at a server. */
const DEFAULT_LIMIT_SECONDS = { quick: 60, usual: 180 };

export const ENDPOINT_ROWS: readonly { readonly name: string }[] = ROWS;

/** Endpoints without an engine, each by a real server, on loopback and over a link of 50 ms: one large file, and many small ones, down and up. */
export const endpoints: LabScenario = {
  name: "endpoints",
  peers: [],
  play: async function* (options) {
    for (const row of pick(options.only)) {
      const why = row.server.whyNot() ?? (row.isFar ? whyNoLab() : undefined);
      if (why === undefined) yield await playRow(row, options);
      else options.say(`${row.name}: SKIPPED: ${why}`);
    }
  },
};

function pick(only: readonly string[] | undefined): readonly Row[] {
  const unknown = only?.find((name) => !ROWS.some((row) => row.name === name));
  if (unknown !== undefined) throw new Error(`--only: no row "${unknown}"`);
  return ROWS.filter(({ name }) => only?.includes(name) ?? true);
}

function playRow(row: Row, options: LabOptions): Promise<Outcome> {
  return inScratch(bytesOfFile(options) * 2, async (folder, base) => {
    mkdirSync(folder.at("source"));
    const prepared = await prepare(row, folder.at("source"), options);
    const { rateMbitPerSec = FAR_RATE_MBIT } = options;
    const over = row.isFar ? `, over ${rateMbitPerSec} Mbit/s and ${FAR_RTT_MS} ms` : "";
    const work = { ...prepared, title: `${prepared.title}${over}` };
    await using place = row.isFar ? await farHosts(row, rateMbitPerSec) : undefined;
    const hosts = place?.hosts ?? LOOPBACK;
    const runs = await measure(peersOf(row.server, row.direction, hosts), work, {
      rounds: options.rounds,
      hosts,
      endurance: false,
      limitMs: 1000 * (options.timeoutSeconds ?? DEFAULT_LIMIT_SECONDS[options.quick ? "quick" : "usual"]),
      say: (line) => options.say(`${row.name}: ${line}`),
      scratch: folder.at("peers"),
    });
    const about = { name: `endpoints-${row.name}`, chart: "rate" } as const;
    return outcomeOf(makeReport(about, { work, hosts, folder: base, runs }));
  });
}

interface Hosted extends AsyncDisposable {
  readonly hosts: Hosts;
}

/** Two namespaces with the link between them. */
async function farHosts({ direction }: Row, rateMbitPerSec: number): Promise<Hosted> {
  const lab = await createLab(
    resolveTopology({
      links: [{ between: ["client", "server"], rateMbitPerSec, delayMs: FAR_RTT_MS / 2, queueBdp: 1 }],
      seed: 1,
      sysctls: TRANSFER_NODE,
    }),
    { backend: "emulator" },
  );
  const [client, server] = ["client", "server"].map((name) => {
    const { namespace, addresses } = lab.host(name);
    return { namespace, address: addresses[0]?.address ?? "" };
  });
  if (client === undefined || server === undefined) throw new Error("a lab without hosts");
  return {
    hosts: direction === "up" ? { from: client, to: server } : { from: server, to: client },
    [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
  };
}

async function prepare(row: Row, folder: string, size: Size): Promise<Work> {
  if (row.work === "tree") {
    return makeTree(join(folder, "tree"), {
      seed: "endpoints",
      files: filesOfTree(size),
      minBytes: 1000,
      maxBytes: 20_000,
    });
  }
  const path = join(folder, "big.bin");
  const bytes = bytesOfFile(size);
  await writeRandomFile(path, bytes, "endpoints");
  return { title: `one file of ${bytes / MIB} MiB`, path, kind: "file", bytes, files: 1, unit: "Gbit/s" };
}
