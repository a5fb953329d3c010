import { expect, it } from "vitest";
import { LiveJob } from "./live.ts";

it("whoever comes to watch when the job is over is not kept waiting", async () => {
  const live = new LiveJob("job");
  live.end();
  for await (const event of live.watch()) expect.fail(`told of ${event.event.case}`);
});
