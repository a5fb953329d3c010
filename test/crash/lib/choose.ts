/** Which of the points are tried. */
import { randomIntegers } from "../../e2e/lib/random.ts";
import type { Point } from "./killpoint.ts";

/**
 * So many points, others for another seed: in turn one of each kind of call (name, and thread), so that a rename is as likely to be
 * tried as one of a thousand sends. In the order of the job.
 */
export function choosePoints(points: readonly Point[], count: number, seed: number): Point[] {
  const kinds = new Map<string, Point[]>();
  for (const point of points) {
    const kind = `${point.thread.replace(/\d+$/, "")} ${point.call}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), point]);
  }
  const pick = randomIntegers(`points ${seed}`);
  const groups = [...kinds.values()];
  const chosen: Point[] = [];
  // Begins at another kind for each seed.
  for (let turn = seed; chosen.length < Math.min(count, points.length); turn += 1) {
    const group = groups[turn % groups.length];
    if (group === undefined || group.length === 0) continue;
    chosen.push(...group.splice(pick(group.length), 1));
  }
  return chosen.sort((a, b) => a.number - b.number);
}
