/** A server with an enrolled client, and `pb` run as a user would. */
import { mkdir } from "node:fs/promises";
import { PB, type RunOptions, type RunResult, run } from "./lib/process.ts";
import { type Scratch, scratch } from "./lib/scratch.ts";
import { type Server, type ServerSetup, startServer } from "./lib/server.ts";

export interface PbResult extends RunResult {
  /** Standard output as one JSON value. */
  json<T = Record<string, unknown>>(): T;
}

export interface PbOptions extends RunOptions {
  /** PB_HOME. */
  readonly home: string;
}

/** Runs `pb ARGS` to its end. */
export async function pb(args: readonly string[], options: PbOptions): Promise<PbResult> {
  const { home, env, ...rest } = options;
  const result = await run(PB, args, { ...rest, env: { ...env, PB_HOME: home } });
  return { ...result, json: <T>() => parse<T>(args, result) };
}

function parse<T>(args: readonly string[], result: RunResult): T {
  try {
    return JSON.parse(result.stdout) as T;
  } catch (cause) {
    const said = `stdout:\n${result.stdout}\nstderr:\n${result.stderr}`;
    throw new Error(`pb ${args.join(" ")} printed no JSON (exit ${result.code})\n${said}`, { cause });
  }
}

/** One server, one client, one folder for both. */
export interface Pair extends AsyncDisposable {
  readonly scratch: Scratch;
  readonly server: Server;
  /** What the server serves as `/`. */
  readonly root: string;
  readonly state: string;
  /** The enrolled client's PB_HOME; the server is its remote `box`. */
  readonly home: string;
  /** Runs as that client. */
  pb(args: readonly string[], options?: RunOptions): Promise<PbResult>;
  /** Runs as that client and throws when the exit code is not 0. */
  ok(args: readonly string[], options?: RunOptions): Promise<PbResult>;
  /** Enrols another client with an invite; its PB_HOME. */
  enrol(name: string, invite: string): Promise<PbResult & { readonly home: string }>;
  /** `pb invite` on the server. */
  invite(...args: string[]): Promise<string>;
}

export interface PairSetup extends Partial<ServerSetup> {
  /** Where the folder of both is made; default the system's temporary folder. */
  readonly base?: string;
  /** The client's network namespace. */
  readonly clientNamespace?: string;
}

export async function startPair(setup: PairSetup = {}): Promise<Pair> {
  const folder = scratch(setup.base);
  try {
    return await startIn(folder, setup);
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

async function startIn(folder: Scratch, setup: PairSetup): Promise<Pair> {
  const { base: _, clientNamespace, ...serverSetup } = setup;
  const root = folder.at("root");
  const state = folder.at("state");
  const home = folder.at("home");
  await mkdir(root);
  const server = await startServer({ roots: [root], state, ...serverSetup });
  const place = clientNamespace === undefined ? {} : { namespace: clientNamespace };
  const asClient = (args: readonly string[], options: RunOptions = {}) =>
    pb(args, { home, cwd: folder.path, ...place, ...options });
  const pair: Pair = {
    scratch: folder,
    server,
    root,
    state,
    home,
    pb: asClient,
    ok: async (args, options) => mustPass(args, await asClient(args, options)),
    enrol: async (name, invite) => {
      const other = folder.at(`home-${name}`);
      const args = ["remote", "add", "box", invite];
      const result = await pb(args, { home: other, cwd: folder.path, ...place });
      return { ...result, home: other };
    },
    invite: async (...args) => {
      const all = ["invite", "--json", "--state", state, "--advertise", server.address, ...args];
      return mustPass(all, await pb(all, { home })).json<{ invite: string }>().invite;
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
  try {
    await pair.ok(["remote", "add", "box", server.invite ?? ""]);
  } catch (error) {
    await pair[Symbol.asyncDispose]();
    throw error;
  }
  return pair;
}

export function mustPass(args: readonly string[], result: PbResult): PbResult {
  if (result.code === 0) return result;
  const said = `${result.stdout}\n${result.stderr}`;
  throw new Error(`pb ${args.join(" ")}: exit ${result.code ?? result.signal}\n${said}`);
}
