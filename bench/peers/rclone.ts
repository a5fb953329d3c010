import { basename, join } from "node:path";
import { freePort, missing } from "../lib/program.ts";
import type { OpenPeer, Peer, Place } from "../peer.ts";

const STREAMS = "8";
/** 16 files at once: four times the default, as its documentation says for small files. */
const TRANSFERS = "16";

/**
 * rclone with itself: the receiver fetches, as only fetching splits a file. Over HTTP: the WebDAV backend waits 10 ms
 * between calls, which holds it below 100 files a second, and Debian 12's release has no flag for that.
 */
export const rclone: Peer = {
  name: "rclone",
  title: `rclone, http (${STREAMS} streams, ${TRANSFERS} transfers)`,
  role: "peer",
  sealed: false,
  kinds: ["file", "folder"],
  whyNot: () => missing({ rclone: "rclone" }),
  open,
};

async function open({ from, to, source, destination, scratch }: Place): Promise<OpenPeer> {
  const port = await freePort();
  const address = `${from.address}:${port}`;
  const serverEnv = { RCLONE_CONFIG: join(scratch, "server.conf"), XDG_CACHE_HOME: join(scratch, "cache") };
  const serve = ["serve", "http", "--read-only", "--addr", address, source];
  await from.daemon("rclone", serve, { port, env: serverEnv });
  const env = {
    RCLONE_CONFIG: join(scratch, "client.conf"),
    RCLONE_CONFIG_BOX_TYPE: "http",
    RCLONE_CONFIG_BOX_URL: `http://${address}`,
  };
  const options = ["--transfers", TRANSFERS, "--checkers", TRANSFERS];
  options.push("--multi-thread-streams", STREAMS, "--multi-thread-cutoff", "32M");
  return {
    send: async ({ path, kind }) => {
      const name = basename(path);
      const target = kind === "folder" ? join(destination, name) : destination;
      await to.run("rclone", ["copy", ...options, `box:${name}`, target], env);
    },
  };
}
