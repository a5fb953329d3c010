/** What setTimeout and setInterval take, 24.8 days: with more they fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Calls `work` after so many milliseconds, however many. Returns what stops it. */
export function after(ms: number, work: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (leftMs: number) => {
    const next = leftMs > MAX_TIMER_MS ? () => wait(leftMs - MAX_TIMER_MS) : work;
    timer = setTimeout(next, Math.min(leftMs, MAX_TIMER_MS));
  };
  wait(ms);
  return () => clearTimeout(timer);
}
