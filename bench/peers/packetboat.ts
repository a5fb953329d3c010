import { basename, join } from "node:path";
import { mustPass, pb } from "../../test/e2e/harness.ts";
import { startServer } from "../../test/e2e/lib/server.ts";
import type { OpenPeer, Peer, Place } from "../peer.ts";

async function open(place: Place, args: readonly string[]): Promise<OpenPeer> {
  const state = join(place.scratch, "state");
  const home = join(place.scratch, "home");
  const server = await startServer({ roots: [place.destination], state });
  const add = ["remote", "add", "box", server.invite ?? ""];
  mustPass(add, await pb(add, { home }));
  return {
    send: async ({ path, kind }) => {
      const target = kind === "file" ? "box:/" : `box:/${basename(path)}`;
      const command = ["transfer", "--json", ...args, path, target];
      mustPass(command, await pb(command, { home, timeoutMs: 600_000 }));
    },
    close: async () => {
      await server.stop();
    },
  };
}

const variant = (name: string, title: string, ...args: string[]): Peer => ({
  name,
  title,
  whyNot: () => undefined,
  open: (place) => open(place, args),
});

export const packetboat: readonly Peer[] = [
  variant("pb", "pb transfer (sealed, UDP)", "--transport", "udp"),
  variant("pb-tcp", "pb transfer (sealed, TCP)", "--transport", "tcp"),
  variant("pb-clear", "pb transfer (--seal off, UDP)", "--transport", "udp", "--seal", "off"),
  variant("pb-tcp-clear", "pb transfer (--seal off, TCP)", "--transport", "tcp", "--seal", "off"),
];
