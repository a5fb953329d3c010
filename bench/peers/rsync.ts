import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { asRoot, freePort, missing } from "../lib/program.ts";
import type { OpenPeer, Peer, Place } from "../peer.ts";

/** An rsync daemon, in clear: the way rsync is fastest. Whole files, written in place (rsync(1): for new files on a fast path). */
export const rsync: Peer = {
  name: "rsync",
  title: "rsync daemon (-a --whole-file --inplace)",
  role: "peer",
  sealed: false,
  kinds: ["file", "folder"],
  whyNot: () => missing({ rsync: "rsync" }),
  open,
};

async function open({ from, to, destination, scratch }: Place): Promise<OpenPeer> {
  const port = await freePort();
  const configuration = join(scratch, "rsyncd.conf");
  writeFileSync(
    configuration,
    [
      `address = ${to.address}`,
      `port = ${port}`,
      `pid file = ${join(scratch, "rsyncd.pid")}`,
      `lock file = ${join(scratch, "rsyncd.lock")}`,
      `log file = ${join(scratch, "rsyncd.log")}`,
      "use chroot = no",
      ...(asRoot ? ["uid = 0", "gid = 0"] : []),
      "[box]",
      `path = ${destination}`,
      "read only = no",
      "",
    ].join("\n"),
  );
  await to.daemon("rsync", ["--daemon", "--no-detach", `--config=${configuration}`], { port });
  const options = ["-a", "--whole-file", "--inplace", "--no-compress"];
  return {
    send: async ({ path }) => {
      await from.run("rsync", [...options, path, `rsync://${to.address}:${port}/box/`]);
    },
  };
}
