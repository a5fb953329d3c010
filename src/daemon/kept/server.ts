import { join } from "node:path";
import type { NativeEngine } from "../../native/types.ts";
import { rootOf } from "../../run/request.ts";
import { tryRemoveStrays } from "../../run/strays.ts";
import type { Places } from "../places.ts";
import type { Checkpoints } from "./checkpoint.ts";
import { Keeper, type KeeperOptions } from "./keeper.ts";

export interface ServerKeeperOptions {
  readonly state: string;
  readonly places: Pick<Places, "spot">;
  readonly checkpoints: Checkpoints;
  readonly client: KeeperOptions["client"];
  readonly keepMs: number;
  readonly engine: Pick<NativeEngine, "removeParts">;
}

/** Parts are removed where their client may write, and nowhere else. */
export function createServerKeeper(options: ServerKeeperOptions): Keeper {
  const { state, places, checkpoints, client, keepMs, engine } = options;
  return new Keeper({
    folder: join(state, "checkpoints"),
    checkpoints,
    client,
    keepMs,
    async removeStrays(caller, { path, exactName }, jobId) {
      const { backend, path: at } = await places.spot(caller, path);
      const signal = new AbortController().signal;
      await tryRemoveStrays({ backend, target: { path: at, exactName }, jobId, signal });
    },
    async removeParts(caller, { path, exactName }, parts) {
      const { backend, path: base } = await places.spot(caller, path);
      await engine.removeParts({
        root: rootOf({ backend, path: base, label: path }),
        base,
        exactName,
        parts,
      });
    },
  });
}

/** Often enough that nothing stays a day beyond its time, and soon after a start that followed a revocation. */
const SWEEP_INTERVAL_MS = 6 * 3_600_000;
const FIRST_SWEEP_MS = 5_000;

/** Returns what stops it. */
export function sweepRegularly(keeper: Keeper): () => void {
  let timer: NodeJS.Timeout;
  const sweep = () => {
    keeper.sweep().catch(() => undefined);
    timer = setTimeout(sweep, SWEEP_INTERVAL_MS);
    timer.unref();
  };
  timer = setTimeout(sweep, FIRST_SWEEP_MS);
  timer.unref();
  return () => clearTimeout(timer);
}
