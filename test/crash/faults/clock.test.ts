/** Clocks that are ten years off: timers and resumption do not care, certificates refuse and say so. */
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { expectError } from "../../e2e/lib/assert.ts";
import { goesOn, interrupt, mixed } from "../lib/interrupted.ts";
import { afterKill } from "../lib/oracle.ts";
import { Scene } from "../lib/scene.ts";

const MIB = 1 << 20;
const TEN_YEARS_S = 3_652 * 86_400;
const OFF: readonly number[] = [-TEN_YEARS_S, TEN_YEARS_S];

const make = () => Scene.make({ direction: "down", transport: "udp", move: false, workload: mixed });

/** Every look at the time of day in JavaScript; the monotonic clock is as it was. */
const IN_JAVASCRIPT = `const Real = Date; const by = 1000 * Number(process.env.PB_TEST_SHIFT_S);
globalThis.Date = class extends Real { constructor(...a) { a.length === 0 ? super(Real.now() + by) : super(...a); } static now() { return Real.now() + by; } };`;

test.each(OFF)("a clock that is off by %i s changes nothing", async (by) => {
  await using scene = await make();
  await interrupt(scene, "SIGKILL");
  const preload = scene.folder.at("shift.cjs");
  await writeFile(preload, IN_JAVASCRIPT);
  const receipt = await goesOn(scene, {
    NODE_OPTIONS: `--require ${preload}`,
    PB_TEST_SHIFT_S: String(by),
  });
  expect(receipt.resumedBytes).toBeGreaterThan(4 * MIB);
});

/** Every look of the process: OpenSSL asks the C library whether a certificate is valid now. */
const IN_PROCESS = `#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long by(void) { const char *s = getenv("PB_TEST_SHIFT_S"); return s ? atol(s) : 0; }
int clock_gettime(clockid_t id, struct timespec *t) {
  int failed = syscall(SYS_clock_gettime, id, t);
  if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += by();
  return failed;
}
time_t time(time_t *out) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  if (out) *out = t.tv_sec;
  return t.tv_sec;
}
int gettimeofday(struct timeval *restrict v, void *restrict zone) {
  struct timespec t;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &t);
  v->tv_sec = t.tv_sec;
  v->tv_usec = t.tv_nsec / 1000;
  return 0;
}
`;

const noCompiler = spawnSync("cc", ["--version"]).status === 0 ? undefined : "no C compiler";

describe.skipIf(noCompiler !== undefined)(
  `the clock of a process${noCompiler ? `: ${noCompiler}` : ""}`,
  () => {
    test.each(OFF)(
      "off by %i s: certificates refuse, the error names the clock, nothing is lost",
      async (by) => {
        await using scene = await make();
        await interrupt(scene, "SIGKILL");
        const [source, library] = [scene.folder.at("shift.c"), scene.folder.at("shift.so")];
        await writeFile(source, IN_PROCESS);
        const built = spawnSync("cc", ["-shared", "-fPIC", "-o", library, source], { encoding: "utf8" });
        expect(built.stderr).toBe("");
        await scene.ensureServer();
        const env = { LD_PRELOAD: library, PB_TEST_SHIFT_S: String(by) };
        const refused = await scene.pb(scene.words(), { env });
        const { message } = expectError(refused, 4, "certificate_expired");
        const year = new Date(Date.now() + 1_000 * by).getUTCFullYear();
        expect(message).toContain(`by this machine's clock, which says ${year}-`);
        expect((await afterKill(scene.truth)).violations).toEqual([]);
        expect((await goesOn(scene)).resumedBytes).toBeGreaterThan(4 * MIB);
      },
    );
  },
);
