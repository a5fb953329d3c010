const STEPS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Three digits and a unit of 1024: `0 B`, `999 B`, `1.50 KiB`, `12.4 GiB`. */
export function formatBytes(bytes: number): string {
  const [number, unit] = scaled(bytes);
  return `${number} ${unit}`;
}

/** As `formatBytes`, a second. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** Two sizes with the unit once where they share it: `9.80 of 12.0 MiB`. */
export function formatBytesOf(part: number, whole: number): string {
  const [partNumber, partUnit] = scaled(part);
  const [wholeNumber, wholeUnit] = scaled(whole);
  if (partUnit === wholeUnit || part === 0) return `${partNumber} of ${wholeNumber} ${wholeUnit}`;
  return `${partNumber} ${partUnit} of ${wholeNumber} ${wholeUnit}`;
}

function scaled(bytes: number): [number: string, unit: string] {
  let value = Math.max(0, bytes);
  let step = 0;
  // 999.5 would round up to a fourth digit.
  while (value >= 999.5 && step < STEPS.length - 1) {
    value /= 1024;
    step += 1;
  }
  const digits = step === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return [value.toFixed(digits), STEPS[step] ?? ""];
}

/** Short, for columns: `12.4G`, `999`. */
export function formatBytesShort(bytes: number): string {
  const [number, unit] = scaled(bytes);
  return number + unit.slice(0, 1).replace("B", "");
}

/** `1,234,567` */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `3 files`, `1 file` */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** `0.42 s`, `12.3 s`, `4:05`, `1:02:03`, `3d 04:05`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  return formatClock(seconds);
}

/** Whole seconds, for what is still running: `0:07`, `4:05`, `1:02:03`, `3d 04:05`. */
export function formatClock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (value: number) => String(value).padStart(2, "0");
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days}d ${pad(hours)}:${pad(minutes)}`;
  if (hours > 0) return `${hours}:${pad(minutes)}:${pad(whole % 60)}`;
  return `${minutes}:${pad(whole % 60)}`;
}

/** From milliseconds: `0.13 ms`, `20.1 ms`, `350 ms`, `1.20 s`. */
export function formatRtt(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms >= 100 ? 0 : ms >= 10 ? 1 : 2)} ms`;
}

/** Of a ratio: `0%`, `0.02%`, `1.3%`, `12%`; never 100 % before all is there, never 0 % where there is some. */
export function formatRatio(ratio: number): string {
  const percent = ratio * 100;
  if (percent === 0) return "0%";
  if (percent < 0.01) return "<0.01%";
  return `${percent.toFixed(percent < 1 ? 2 : percent < 10 ? 1 : 0)}%`;
}

/** Whole per cent, rounded down: 100 only when all is there. */
export function percentOf(part: number, whole: number): number {
  if (whole <= 0) return 0;
  return Math.min(100, Math.floor((part / whole) * 100));
}
