/** Kills at many points of one job. */
import type { Slice } from "./arguments.ts";
import { choosePoints } from "./choose.ts";
import type { Point } from "./killpoint.ts";
import { countPoints, killAt, type Outcome, type Side } from "./point.ts";
import type { Scene } from "./scene.ts";

export interface SweepOptions {
  readonly side: Side;
  readonly points: "all" | number;
  readonly seed: number;
  /** Of all of them; default: whole. */
  readonly slice?: Slice;
  /** After each point. */
  readonly onOutcome?: (outcome: Outcome, number: number, of: number) => void;
}

export async function sweep(scene: Scene, options: SweepOptions): Promise<Outcome[]> {
  const { side, seed, onOutcome, slice = { rest: 0, of: 1 } } = options;
  const points = await countPoints(scene, side);
  const chosen: readonly Point[] =
    options.points === "all"
      ? points.filter(({ number }) => number % slice.of === slice.rest)
      : choosePoints(points, options.points, seed);
  const outcomes: Outcome[] = [];
  for (const { number } of chosen) {
    const outcome = await killAt(scene, side, number);
    outcomes.push(outcome);
    onOutcome?.(outcome, outcomes.length, chosen.length);
  }
  return outcomes;
}
