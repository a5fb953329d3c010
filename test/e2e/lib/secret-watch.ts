/** Looks for secrets where none may be: in arguments and environments of every process, in files, in texts. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** In the forms in which a text gets into files by accident. */
function formsOf(secret: string): Buffer[] {
  const known = forms.get(secret);
  if (known) return known;
  const bytes = Buffer.from(secret, "utf8");
  const wide = Buffer.from(secret, "utf16le");
  // Base64 of a longer text has it in one of three ways; what stands at the ends depends on the neighbours.
  const inside = [0, 1, 2].map((skip) => {
    const text = Buffer.concat([Buffer.alloc(skip), bytes]).toString("base64");
    return text.slice(skip === 0 ? 0 : 4, -4);
  });
  const texts = [bytes.toString("hex"), encodeURIComponent(secret), ...inside];
  const all = [bytes, wide, ...texts.map((text) => Buffer.from(text, "latin1"))];
  forms.set(secret, all);
  return all;
}

const forms = new Map<string, Buffer[]>();

/** Which of the secrets are in it. */
export function foundIn(content: Buffer | string, secrets: readonly string[]): string[] {
  const bytes = typeof content === "string" ? Buffer.from(content, "utf8") : content;
  return secrets.filter((secret) => formsOf(secret).some((form) => bytes.includes(form)));
}

/** Every file below the folders, names too, as `PATH: SECRET`. */
export function foundBelow(folders: readonly string[], secrets: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
      const path = join(entry.parentPath, entry.name);
      const content = entry.isFile() ? readFileSync(path) : Buffer.alloc(0);
      return [...foundIn(path, secrets), ...foundIn(content, secrets)].map((secret) => `${path}: ${secret}`);
    }),
  );
}

/** A process of Node lives for many times as long. */
const LOOK_MS = 50;
/** What a process was started with changes with `exec` alone, soon after its start. */
const LOOKS = 4;

export interface ProcessWatch {
  /** `PID argv: SECRET`, `PID environment: SECRET` */
  readonly found: ReadonlySet<string>;
  /** Processes that were looked at. */
  readonly seen: ReadonlySet<number>;
  /** This one was given a secret by its environment; its children were not. */
  excuse(pid: number | undefined): void;
  stop(): void;
}

export function watchProcesses(secrets: readonly string[]): ProcessWatch {
  const found = new Set<string>();
  const seen = new Set<number>();
  const excused = new Set([process.pid]);
  const looks = new Map<number, number>();
  const timer = setInterval(() => {
    for (const pid of readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)) {
      const before = looks.get(pid) ?? 0;
      if (before >= LOOKS || isCopy(pid, excused)) continue;
      looks.set(pid, before + 1);
      seen.add(pid);
      for (const secret of foundIn(read(`/proc/${pid}/cmdline`), secrets))
        found.add(`${pid} argv: ${secret}`);
      if (excused.has(pid)) continue;
      const environment = read(`/proc/${pid}/environ`);
      for (const secret of foundIn(environment, secrets)) found.add(`${pid} environment: ${secret}`);
    }
  }, LOOK_MS);
  return {
    found,
    seen,
    excuse: (pid) => void excused.add(pid ?? 0),
    stop: () => clearInterval(timer),
  };
}

/** A child between `fork` and `exec` is a copy of its parent, with all that the parent was given; it was given nothing itself yet. */
function isCopy(pid: number, excused: ReadonlySet<number>): boolean {
  const parent = Number(/^PPid:\s*(\d+)$/m.exec(read(`/proc/${pid}/status`).toString())?.[1]);
  return excused.has(parent) && read(`/proc/${pid}/cmdline`).equals(read(`/proc/${parent}/cmdline`));
}

/** Empty when the process is gone, or another user's. */
function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}
