import { basename, join } from "node:path";
import { PB } from "../../test/e2e/lib/process.ts";
import type { OpenPeer, Peer, Place } from "../peer.ts";
import type { Work } from "../work.ts";

/** How one transfer is asked for. */
export interface Asked {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A server and an enrolled client; what comes back sends something to it. */
export async function openBox(place: Place): Promise<(work: Work, asked: Asked) => Promise<void>> {
  const { from, to, destination } = place;
  const env = { PB_HOME: join(place.scratch, "home") };
  const serve = ["serve", "--json", "--listen", `${to.address}:0`, "--root", destination];
  const ready = await to.daemon(PB, [...serve, "--state", join(place.scratch, "state")]);
  const { invite } = JSON.parse(ready) as { readonly invite: string };
  await from.run(PB, ["remote", "add", "box", invite], env);
  return async ({ path, kind }, asked) => {
    const target = kind === "file" ? "box:/" : `box:/${basename(path)}`;
    await from.run(PB, ["transfer", "--quiet", ...asked.args, path, target], { ...env, ...asked.env });
  };
}

async function open(place: Place, args: readonly string[]): Promise<OpenPeer> {
  const transfer = await openBox(place);
  return { send: (work) => transfer(work, { args }) };
}

const variant = (name: string, title: string, ...args: string[]): Peer => ({
  name,
  title: `pb ${title}`,
  role: args.includes("--discard") ? "gauge" : "ours",
  sealed: !args.includes("off"),
  kinds: ["file", "folder"],
  whyNot: () => undefined,
  open: (place) => open(place, args),
});

/** With options of `pb transfer`. */
export function packetboatWith(name: string, ...args: string[]): Peer {
  return variant(name, args.join(" "), ...args);
}

export const packetboat: readonly Peer[] = [
  variant("pb", "(sealed)"),
  variant("pb-udp", "--transport udp (sealed)", "--transport", "udp"),
  variant("pb-tcp", "--transport tcp (sealed)", "--transport", "tcp"),
  variant("pb-clear", "--seal off", "--seal", "off"),
  variant("pb-discard", "--discard (sealed, to nowhere)", "--discard"),
  variant("pb-clear-discard", "--discard --seal off (to nowhere)", "--discard", "--seal", "off"),
  variant("pb-udp-clear", "--transport udp --seal off", "--transport", "udp", "--seal", "off"),
  variant("pb-tcp-clear", "--transport tcp --seal off", "--transport", "tcp", "--seal", "off"),
];
