import type { Backend } from "../../backend/backend.ts";
import type { Backends } from "../../backend/registry.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import type { NativeEngine } from "../../native/types.ts";
import type { Checkpoints } from "../kept/checkpoint.ts";
import type { LiveJob } from "./live.ts";
import type { JobStore } from "./store.ts";

/** What the jobs of a PB_HOME are run and looked after with. */
export interface JobDeps {
  readonly backends: Pick<Backends, "open" | "watch">;
  readonly engine: NativeEngine;
  readonly metrics: Metrics;
  readonly store: JobStore;
  readonly checkpoints: Checkpoints;
  /** The jobs that this process runs, by id. */
  readonly live: Map<string, LiveJob>;
  /** Where copies between two servers are kept on their way. */
  readonly spoolParent: string;
  /** The whole of this machine, for them alone. Absent: what `backends` has under no name, which at a server is a caller's root. */
  readonly machine?: () => Promise<Backend>;
  /** False: nothing is kept that a transfer could be resumed with. For measurements (bench/README.md). */
  readonly keeps: boolean;
}
