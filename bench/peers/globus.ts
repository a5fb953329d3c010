import { basename } from "node:path";
import { asRoot, find, freePort, missing } from "../lib/program.ts";
import type { OpenPeer, Peer, Place } from "../peer.ts";
import type { Work } from "../work.ts";

/** A GridFTP server and globus-url-copy, in clear and anonymous; -fast is MODE E with data channels kept. */
const variant = (streams: number): Peer => ({
  name: `globus-${streams}`,
  title: `GridFTP, globus-url-copy -fast -p ${streams}`,
  role: "peer",
  sealed: false,
  kinds: streams === 4 ? ["file", "folder"] : ["file"],
  whyNot: () =>
    missing({
      "globus-gridftp-server": "globus-gridftp-server-progs",
      "globus-url-copy": "globus-gass-copy-progs",
    }),
  open: (place) => open(place, streams),
});

export const globus: readonly Peer[] = [1, 4, 8, 16].map(variant);

/** Bytes of a read or write: the documentation's advice for a data transfer node is 1 to 4 MiB, its default is 256 KiB. */
const BLOCK_BYTES = 1 << 20;

async function open({ from, to, destination }: Place, streams: number): Promise<OpenPeer> {
  const port = await freePort();
  const server = ["-aa", "-control-interface", to.address, "-data-interface", to.address, "-p", String(port)];
  // As another user it could not write to our scratch folder.
  if (asRoot) server.push("-anonymous-user", "root", "-allow-root");
  server.push("-blocksize", String(BLOCK_BYTES), "-disable-usage-stats");
  await to.daemon(find("globus-gridftp-server") ?? "globus-gridftp-server", server, { port });
  return {
    send: async (work) => {
      const target = `ftp://${to.address}:${port}${destination}/${basename(work.path)}`;
      await from.run("globus-url-copy", [
        "-q",
        "-fast",
        "-bs",
        String(BLOCK_BYTES),
        ...how(work, streams, target),
      ]);
    },
  };
}

/** Many files: pipelined over four sessions, each with one stream. */
function how(work: Work, streams: number, target: string): string[] {
  if (work.kind === "file") return ["-p", String(streams), `file://${work.path}`, target];
  return ["-r", "-cd", "-pp", "-cc", String(streams), `file://${work.path}/`, `${target}/`];
}
