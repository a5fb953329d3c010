import type { Outcome } from "./outcome.ts";
import type { Peer } from "./peer.ts";
import type { Charted, Size, Work } from "./work.ts";

interface Named {
  /** As on the command line. */
  readonly name: string;
  /** Peers run when none are named. */
  readonly peers: readonly string[];
}

/** A piece of work that every peer does in turn. One file each in scenarios/. */
export interface WorkScenario extends Named {
  readonly chart: Charted;
  /** Resident memory and the rate of the first and the last tenth of the files are measured, too. */
  readonly endurance: boolean;
  /** Bytes that source and one destination need together. */
  readonly spaceBytes: (size: Size) => number;
  /** Makes what is sent, below `folder`. */
  prepare(folder: string, size: Size): Promise<Work>;
}

export interface LabOptions extends Size {
  readonly rounds: number;
  readonly peers: readonly Peer[];
  /** Names of rows; undefined: all. */
  readonly only: readonly string[] | undefined;
  /** Of each run; undefined: the scenario's own. */
  readonly timeoutSeconds: number | undefined;
  /** Of the link; undefined: the scenario's own. */
  readonly rateMbitPerSec: number | undefined;
  readonly say: (line: string) => void;
}

/** Makes its own networks (netlab) and says what it found row by row. */
export interface LabScenario extends Named {
  play(options: LabOptions): AsyncIterable<Outcome>;
}

export type Scenario = WorkScenario | LabScenario;
