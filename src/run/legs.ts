import type { LaneSample } from "../native/types.ts";
import { type LaneTimes, type LimitTimes, limitTimes } from "./window.ts";

/** Lanes of one side: as they were when a leg began, and as they are. */
export interface LegLanes {
  first(): readonly LaneSample[];
  now(): readonly LaneSample[];
}

/** What held a copy up that goes in legs, one after another over sessions of their own: of each session only the time of its legs. */
export class LegLimits {
  #ended = limitTimes([]);
  #running: (() => LimitTimes) | undefined;

  /** Ends the leg before it, if one runs. */
  begin(sending: LegLanes, receiving: LegLanes): void {
    this.end();
    this.#running = () => limitTimes(ofLeg(sending), ofLeg(receiving));
  }

  end(): void {
    this.#ended = this.now();
    this.#running = undefined;
  }

  /** Of all legs so far. */
  now(): LimitTimes {
    const leg = this.#running?.();
    if (leg === undefined) return this.#ended;
    const total = { ...this.#ended };
    for (const by of Object.keys(total) as (keyof LimitTimes)[]) total[by] += leg[by];
    return total;
  }
}

/** Lanes of a session of this process, from now on. */
export function lanesFromNow(session: { samples(): readonly LaneSample[] }): LegLanes {
  const first = session.samples();
  return { first: () => first, now: () => session.samples() };
}

function ofLeg({ first, now }: LegLanes): LaneTimes[] {
  const before = new Map(first().map((sample) => [sample.lane, sample]));
  return now().map((sample) => {
    const {
      congestionNs = 0,
      receiverNs = 0,
      pacingNs = 0,
      applicationNs = 0,
      cpuNs = 0,
    } = before.get(sample.lane) ?? {};
    return {
      congestionNs: sample.congestionNs - congestionNs,
      receiverNs: sample.receiverNs - receiverNs,
      pacingNs: sample.pacingNs - pacingNs,
      applicationNs: sample.applicationNs - applicationNs,
      cpuNs: sample.cpuNs - cpuNs,
    };
  });
}
