/** `rclone serve webdav` over a folder. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { findProgram, freePort, HOST, serverFolder, startProgram } from "./program.ts";

export interface RcloneServer extends AsyncDisposable {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** What it serves: the folder that was given, or a new one. */
  readonly root: string;
  stop(): Promise<void>;
}

/** For how long it does not see what a test changes behind its back. At 0 it reads a folder anew for each of its entries. */
export const RCLONE_CACHE_MS = 40;
const FRESH = ["--dir-cache-time", `${RCLONE_CACHE_MS}ms`];

/** Why it cannot be started; undefined when it can. */
export const available = () => (findProgram("rclone") ? undefined : "rclone is not installed");

export async function startRcloneWebdav(options: { readonly root?: string } = {}): Promise<RcloneServer> {
  const folder = await serverFolder("rclone");
  const port = await freePort();
  const [user, password] = ["sailor", "only for this test"];
  const root = options.root ?? join(folder, "root");
  await mkdir(root, { recursive: true });
  const running = await startProgram({
    program: findProgram("rclone") ?? "rclone",
    args: [
      "serve",
      "webdav",
      root,
      "--addr",
      `${HOST}:${port}`,
      "--config",
      join(folder, "none.conf"),
      ...FRESH,
    ],
    env: { RCLONE_USER: user, RCLONE_PASS: password },
    port,
    folder,
  });
  return {
    url: `http://${HOST}:${port}/`,
    user,
    password,
    root,
    stop: running.stop,
    [Symbol.asyncDispose]: running.stop,
  };
}
