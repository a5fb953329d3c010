/** Kills at many points of one job. */
import { choosePoints } from "./choose.ts";
import type { Point } from "./killpoint.ts";
import { countPoints, killAt, type Outcome, type Side } from "./point.ts";
import type { Scene } from "./scene.ts";

export interface SweepOptions {
  readonly side: Side;
  readonly points: "all" | number;
  readonly seed: number;
  /** After each point. */
  readonly onOutcome?: (outcome: Outcome, number: number, of: number) => void;
}

export async function sweep(scene: Scene, options: SweepOptions): Promise<Outcome[]> {
  const { side, seed, onOutcome } = options;
  const points = await countPoints(scene, side);
  const chosen: readonly Point[] =
    options.points === "all" ? points : choosePoints(points, options.points, seed);
  const outcomes: Outcome[] = [];
  for (const { number } of chosen) {
    const outcome = await killAt(scene, side, number);
    outcomes.push(outcome);
    onOutcome?.(outcome, outcomes.length, chosen.length);
  }
  return outcomes;
}
