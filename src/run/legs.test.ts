import { expect, it } from "vitest";
import { laneSample as lane } from "../native/testing/lane-sample.ts";
import type { LaneSample } from "../native/types.ts";
import { LegLimits, lanesFromNow } from "./legs.ts";
import { longest } from "./window.ts";

function session(...samples: LaneSample[]) {
  return {
    samples: () => [...samples],
    set: (...now: LaneSample[]) => samples.splice(0, samples.length, ...now),
  };
}

it("counts of each session only what held up its own legs", () => {
  const [source, here, target] = [session(lane({})), session(lane({})), session(lane({}))];
  const limits = new LegLimits();
  limits.begin(lanesFromNow(source), lanesFromNow(here));
  source.set(lane({ receiverNs: 6, congestionNs: 1 }));
  here.set(lane({ cpuNs: 5 }));
  target.set(lane({ applicationNs: 100 }));
  expect(limits.now()).toEqual({ application: 0, congestion: 1, cpu: 5, pacing: 0, receiver: 1 });
  limits.begin(lanesFromNow(target), lanesFromNow(session()));
  source.set(lane({ receiverNs: 6, congestionNs: 1, applicationNs: 100 }));
  target.set(lane({ applicationNs: 100, cpuNs: 7 }), lane({ lane: 1, pacingNs: 2 }));
  limits.end();
  limits.end();
  target.set(lane({ applicationNs: 900 }));
  expect(limits.now()).toEqual({ application: 0, congestion: 1, cpu: 12, pacing: 2, receiver: 1 });
  expect(longest(limits.now())).toBe("cpu");
});
