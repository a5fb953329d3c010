import type { Peer } from "../peer.ts";

/** What the machine's memory and file system give without any network. */
export const cp: Peer = {
  name: "cp",
  title: "cp, no network",
  role: "baseline",
  sealed: false,
  kinds: ["file", "folder"],
  whyNot: () => undefined,
  open: async ({ from, destination }) => ({
    send: async ({ path }) => {
      await from.run("cp", ["-r", path, `${destination}/`]);
    },
  }),
};
