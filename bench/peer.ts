import type { Side } from "./lib/side.ts";
import type { Work } from "./work.ts";

/** Another way to move files from one host to another, or ours. One file each in peers/. */
export interface Peer {
  /** As in `--peers`; `globus` there means every `globus-…`. */
  readonly name: string;
  /** What it is and how it is tuned, for the table. */
  readonly title: string;
  /**
   * `ours` is not compared with itself; `baseline` copies without a network and is no peer; `gauge` leaves nothing at the
   * destination, so that it measures a part of the way and is compared with nobody.
   */
  readonly role: "ours" | "peer" | "baseline" | "gauge";
  /** Data travels encrypted. */
  readonly sealed: boolean;
  /** What it can move in one go. */
  readonly kinds: readonly Work["kind"][];
  /** Why it cannot run here (the package that is not installed); undefined when it can. */
  whyNot(): string | undefined;
  /** Starts what it needs, through the sides alone, which account for it and stop it. */
  open(place: Place): Promise<OpenPeer>;
}

export interface Place {
  /** Data flows from here to there, whichever of them is the server. */
  readonly from: Side;
  readonly to: Side;
  /** The folder that holds the work; not to be changed. */
  readonly source: string;
  /** Empty before each run. */
  readonly destination: string;
  /** For configuration, keys, state. */
  readonly scratch: string;
}

export interface OpenPeer {
  /** Before each run; not timed. */
  prepare?(): Promise<void>;
  /** Moves the file, or the folder with its content, under its own name to the destination. Resolves when it is done. */
  send(work: Work): Promise<void>;
  /** Stops what it has started by other means than the sides. */
  close?(): Promise<void>;
}
