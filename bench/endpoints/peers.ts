/** Programs that move files to and from an endpoint: ours, rclone, and lftp or curl where they know it. */
import { spawnSync } from "node:child_process";
import { basename, join } from "node:path";
import { PB } from "../../test/e2e/lib/process.ts";
import { PASSWORD } from "../../test/servers/accounts.ts";
import { missing } from "../lib/program.ts";
import type { OpenPeer, Peer, Place } from "../peer.ts";
import type { Hosts } from "../run.ts";
import type { EndpointServer, Served } from "./servers.ts";

export type Direction = "up" | "down";

/** As its documentation says for many files; the defaults are four and eight. */
const RCLONE = [
  "--transfers",
  "16",
  "--checkers",
  "16",
  "--multi-thread-streams",
  "8",
  "--multi-thread-cutoff",
  "32M",
];

type Client = (place: Place, served: Served, direction: Direction) => Promise<OpenPeer>;

const pb: Client = async ({ from, to, scratch, destination }, { pb: args }, direction) => {
  const env = { PB_HOME: join(scratch, "home") };
  const side = direction === "up" ? from : to;
  await side.run(PB, ["remote", "add", "ep", ...args], env);
  return {
    async send({ path, kind }) {
      const name = basename(path);
      const words =
        direction === "up"
          ? [path, kind === "file" ? "ep:/" : `ep:/${name}`]
          : [`ep:/${name}`, kind === "file" ? `${destination}/` : join(destination, name)];
      await side.run(PB, ["transfer", "--quiet", ...words], env);
    },
  };
};

const rclone: Client = async ({ from, to, scratch, destination }, { rclone: settings, below }, direction) => {
  const side = direction === "up" ? from : to;
  const named = Object.entries(settings).map(([name, value]) => [`RCLONE_CONFIG_EP_${name}`, value]);
  const secret = settings.TYPE === "ftp" ? { RCLONE_CONFIG_EP_PASS: obscured(PASSWORD) } : {};
  // An authority for AWS, where the machine has one, is more than its client can take.
  const env = {
    RCLONE_CONFIG: join(scratch, "rclone.conf"),
    AWS_CA_BUNDLE: "",
    ...Object.fromEntries(named),
    ...secret,
  };
  return {
    async send({ path, kind }) {
      const name = basename(path);
      const inside = (where: string) => (kind === "file" ? where : join(where, name));
      const words =
        direction === "up" ? [path, `ep:${inside(below)}`] : [`ep:${below}${name}`, inside(destination)];
      await side.run("rclone", ["copy", ...RCLONE, ...words], env);
    },
  };
};

/** rclone takes a password only in its own disguise. */
function obscured(password: string): string {
  return spawnSync("rclone", ["obscure", "-"], { input: password, encoding: "utf8" }).stdout.trim();
}

const lftp: Client = async ({ from, to, destination }, { url = "" }, direction) => {
  const side = direction === "up" ? from : to;
  const settings =
    "set net:max-retries 1; set cmd:fail-exit yes; set ftp:ssl-allow no; set net:connection-limit 16;";
  return {
    async send({ path, kind }) {
      const name = basename(path);
      const up = kind === "file" ? `put ${path}` : `mirror -R --parallel=16 ${path}`;
      const down =
        kind === "file"
          ? `pget -n 8 ${name} -o ${destination}/`
          : `mirror --parallel=16 ${name} ${join(destination, name)}`;
      await side.run("lftp", ["-c", `${settings} open ${url}; ${direction === "up" ? up : down}`]);
    },
  };
};

const curl: Client = async ({ to, destination }, { url = "" }) => ({
  send: async ({ path }) => {
    await to.run("curl", [
      "-sS",
      "--fail",
      "-o",
      join(destination, basename(path)),
      `${url}${basename(path)}`,
    ]);
  },
});

interface Entrant {
  readonly name: string;
  readonly role: Peer["role"];
  readonly client: Client;
  readonly kinds: Peer["kinds"];
  readonly needs: Readonly<Record<string, string>>;
}

const BOTH: Peer["kinds"] = ["file", "folder"];

function entrantsOf({ kind }: EndpointServer): readonly Entrant[] {
  return [
    { name: "pb", role: "ours", client: pb, kinds: BOTH, needs: {} },
    { name: "rclone", role: "peer", client: rclone, kinds: BOTH, needs: { rclone: "rclone" } },
    ...(kind === "ftp"
      ? [{ name: "lftp", role: "peer", client: lftp, kinds: BOTH, needs: { lftp: "lftp" } } as const]
      : []),
    ...(kind === "http"
      ? [{ name: "curl", role: "peer", client: curl, kinds: ["file"], needs: { curl: "curl" } } as const]
      : []),
  ];
}

/** For one server and direction, between these hosts. The server's processor time is in nobody's figure. */
export function peersOf(server: EndpointServer, direction: Direction, hosts: Hosts): readonly Peer[] {
  const serverHost = direction === "up" ? hosts.to : hosts.from;
  return entrantsOf(server).map(({ name, role, client, kinds, needs }) => ({
    name: `${name}-${server.kind}-${direction}`,
    title: `${name}, ${server.kind} ${direction} (${server.title})`,
    role,
    sealed: server.kind === "sftp",
    kinds,
    whyNot: () => missing(needs),
    async open(place) {
      const root = direction === "up" ? place.destination : place.source;
      const served = await server.start({ root, scratch: place.scratch, place: serverHost });
      const open = await client(place, served, direction).catch(async (error: unknown) => {
        await served.stop();
        throw error;
      });
      return { ...open, close: () => served.stop() };
    },
  }));
}
