import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { asRoot, find, freePort, missing } from "../lib/program.ts";
import type { Side } from "../lib/side.ts";
import type { Peer, Place } from "../peer.ts";

type Fetch = (to: Side, url: string, destination: string) => Promise<unknown>;

const NGINX = { nginx: "nginx-light" };

/** A file from nginx: the sender is the server. */
const variant = (
  name: string,
  title: string,
  programs: Readonly<Record<string, string>>,
  fetch: Fetch,
): Peer => ({
  name,
  title: `nginx, ${title}`,
  role: "peer",
  sealed: false,
  kinds: ["file"],
  whyNot: () => missing({ ...NGINX, ...programs }),
  open: async (place) => {
    const base = await startNginx(place);
    return {
      send: async ({ path }) => {
        await fetch(place.to, `${base}/${basename(path)}`, place.destination);
      },
    };
  },
});

export const http: readonly Peer[] = [
  variant("curl", "curl", { curl: "curl" }, (to, url, destination) =>
    to.run("curl", ["-q", "-sS", "--fail", "-o", join(destination, basename(url)), url]),
  ),
  variant("aria2", "aria2 -x16", { aria2c: "aria2" }, (to, url, destination) =>
    to.run("aria2c", [...ARIA2, `--dir=${destination}`, url]),
  ),
];

/** aria2c(1): falloc where the file system has extents; 1 MiB is the smallest split there is. */
const ARIA2 = [
  "--no-conf",
  "--quiet",
  "--max-connection-per-server=16",
  "--split=16",
  "--min-split-size=1M",
  "--file-allocation=falloc",
  "--max-tries=1",
];

async function startNginx({ from, source, scratch }: Place): Promise<string> {
  const port = await freePort();
  const at = (name: string) => join(scratch, name);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (what) => `${what}_temp_path ${at(what)};`,
  );
  writeFileSync(
    at("nginx.conf"),
    `daemon off;
${asRoot ? "user root root;" : ""}
worker_processes auto;
pid ${at("nginx.pid")};
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.join("\n  ")}
  sendfile on;
  sendfile_max_chunk 2m;
  tcp_nopush on;
  server {
    listen ${from.address}:${port} reuseport;
    root ${source};
  }
}
`,
  );
  const args = ["-e", at("error.log"), "-p", scratch, "-c", at("nginx.conf")];
  await from.daemon(find("nginx") ?? "nginx", args, { port });
  return `http://${from.address}:${port}`;
}
