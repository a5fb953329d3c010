/** One job on one server with one client, that can be begun again from nothing. */
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type PbResult, pb } from "../../e2e/harness.ts";
import { exited, PB, type RunOptions, start } from "../../e2e/lib/process.ts";
import { type Scratch, scratch } from "../../e2e/lib/scratch.ts";
import { type Server, startServer } from "../../e2e/lib/server.ts";
import { manifestOf } from "./manifest.ts";
import type { Truth } from "./oracle.ts";
import type { Workload } from "./workloads.ts";

export type Direction = "up" | "down" | "local";
export const DIRECTIONS: readonly Direction[] = ["up", "down", "local"];

export interface SceneOptions {
  readonly direction: Direction;
  readonly transport: "udp" | "tcp" | "auto";
  readonly move: boolean;
  readonly workload: Workload;
  /** Where everything is; default the system's temporary folder. */
  readonly base?: string;
  /** More options of `pb transfer`. */
  readonly args?: readonly string[];
}

/** A run that hangs is a violation (I6), not a test that times out. */
export const RUN_TIMEOUT_MS = 60_000;

export class Scene implements AsyncDisposable {
  readonly options: SceneOptions;
  readonly folder: Scratch;
  readonly #clean: string;
  #server: Server | undefined;
  #traced = false;
  #address: string | undefined;
  #truth: Truth | undefined;

  private constructor(options: SceneOptions, folder: Scratch) {
    this.options = options;
    this.folder = folder;
    this.#clean = folder.at("clean-home");
  }

  static async make(options: SceneOptions): Promise<Scene> {
    const scene = new Scene(options, scratch(options.base));
    try {
      await scene.#prepare();
      return scene;
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
  }

  get home(): string {
    return this.folder.at("home");
  }

  get state(): string {
    return this.folder.at("state");
  }

  get sourcePath(): string {
    return this.folder.at(this.options.direction === "down" ? "root" : "here", "from");
  }

  /** Two folders deep, neither of which is there before. */
  get destinationPath(): string {
    return this.folder.at(this.options.direction === "up" ? "root" : "here", "in", "tree");
  }

  get server(): Server {
    if (this.#server === undefined) throw new Error("no server runs");
    return this.#server;
  }

  get truth(): Truth {
    if (this.#truth === undefined) throw new Error("the scene is not set");
    return this.#truth;
  }

  /** Of all files of the source. */
  get totalBytes(): number {
    return [...this.truth.source.values()].reduce(
      (sum, item) => sum + (item.kind === "file" ? item.size : 0),
      0,
    );
  }

  /** The words of the job; the same ones go on with it. */
  words(...more: string[]): string[] {
    const { direction, transport, move, workload, args = [] } = this.options;
    const place = (path: string, remote: boolean) => (remote ? `box:/${path}` : path);
    const source = place(direction === "down" ? "from" : this.sourcePath, direction === "down");
    const target = place(direction === "up" ? "in/tree" : this.destinationPath, direction === "up");
    const how = direction === "local" ? [] : ["--transport", transport];
    return [move ? "mv" : "cp", "--json", ...how, ...workload.args, ...args, ...more, source, target];
  }

  pb(args: readonly string[], options: RunOptions = {}): Promise<PbResult> {
    return pb(args, { home: this.home, cwd: this.folder.path, timeoutMs: RUN_TIMEOUT_MS, ...options });
  }

  /** A run that may be killed. */
  begin(args: readonly string[]): { readonly end: Promise<unknown>; kill(signal?: NodeJS.Signals): void } {
    const child = start(PB, args, { env: { PB_HOME: this.home }, cwd: this.folder.path });
    child.stdin?.end();
    for (const stream of [child.stdout, child.stderr]) stream?.resume();
    return { end: exited(child), kill: (signal = "SIGKILL") => void child.kill(signal) };
  }

  /** At the same address as before. */
  async startServer(launcher: readonly string[] = []): Promise<Server> {
    await this.stopServer();
    this.#traced = launcher.length > 0;
    this.#server = await startServer({
      roots: [this.folder.at("root")],
      state: this.state,
      launcher,
      ...(this.#address === undefined ? {} : { listen: this.#address }),
    });
    this.#address = this.#server.address;
    return this.#server;
  }

  /** One that runs, and is not traced. */
  async ensureServer(): Promise<Server> {
    return this.#server !== undefined && !this.#traced ? this.#server : this.startServer();
  }

  async stopServer(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.[Symbol.asyncDispose]();
  }

  /** Nothing was ever transferred: destination and history are as at first, and so is a source that was moved away. */
  async reset(): Promise<void> {
    await rm(this.folder.at("root", "in"), { recursive: true, force: true });
    await rm(this.folder.at("here", "in"), { recursive: true, force: true });
    await rm(this.home, { recursive: true, force: true });
    await cp(this.#clean, this.home, { recursive: true });
    if (this.options.move) {
      await rm(this.sourcePath, { recursive: true, force: true });
      await this.options.workload.make(this.sourcePath, this.folder.at("canary"));
    }
    await this.options.workload.before(this.destinationPath);
    this.#truth = {
      sourcePath: this.sourcePath,
      source: await manifestOf(this.sourcePath),
      destinationPath: this.destinationPath,
      destination: await manifestOf(this.destinationPath),
      canaryPath: this.folder.at("canary"),
      canary: this.#truth?.canary ?? (await manifestOf(this.folder.at("canary"))),
      move: this.options.move,
    };
  }

  async #prepare(): Promise<void> {
    for (const name of ["root", "here", "canary"]) await mkdir(this.folder.at(name));
    await writeFile(this.folder.at("canary", "bird"), "nobody may touch this");
    await mkdir(dirname(this.sourcePath), { recursive: true });
    await this.options.workload.make(this.sourcePath, this.folder.at("canary"));
    const { invite = "" } = await this.startServer();
    const added = await pb(["remote", "add", "box", invite], { home: this.#clean });
    if (added.code !== 0) throw new Error(`pb remote add: ${added.stderr}`);
    await this.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopServer();
    await this.folder[Symbol.asyncDispose]();
  }
}
