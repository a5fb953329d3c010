/** A secret given in each possible way is afterwards in no argument, environment, log, journal, error or file, and in no core. */

import type { ChildProcess } from "node:child_process";
import { createCipheriv, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exited, PB, type RunOptions, start } from "./lib/process.ts";
import { untilTrue } from "./lib/running.ts";
import { type Scratch, scratch } from "./lib/scratch.ts";
import { foundBelow, foundIn, type ProcessWatch, watchProcesses } from "./lib/secret-watch.ts";
import { type Server, startServer } from "./lib/server.ts";

/** No two alike, and none like anything else. */
const NAMES = [
  ...["password", "token", "key", "keyPhrase", "rclone", "netrc", "aws", "passphrase", "wrong", "url", "set"],
  "exportPhrase",
] as const;
const secrets = Object.fromEntries(
  NAMES.map((name) => [name, `${name}-${randomBytes(12).toString("hex")}`]),
) as Record<(typeof NAMES)[number], string>;
const all = Object.values(secrets);
/** Those whose owner has put them on the command line himself. */
const typed = [secrets.url, secrets.set];

let folder: Scratch;
let home: string;
let web: HttpServer;
let origin: string;
let server: Server;
let watch: ProcessWatch;
/** What every command said. */
let said = "";

beforeAll(async () => {
  folder = scratch();
  home = folder.at("home");
  for (const name of ["root", "given", "work"]) await mkdir(folder.at(name));
  web = createServer((request, response) => {
    // Never answered: who asks is alive, with what it has sent.
    if (request.url?.startsWith("/slow")) return;
    const { authorization = "" } = request.headers;
    const open = Buffer.from(authorization.replace("Basic ", ""), "base64").toString();
    const known = open === `u:${secrets.password}` || authorization === `Bearer ${secrets.token}`;
    // A server that repeats what it was sent, as some do.
    const page = '<title>Index of /</title><a href="f">f</a>';
    const body = known ? (request.url === "/" ? page : "data") : `denied: ${authorization} ${open}`;
    const headers = { "content-type": "text/html", "content-length": Buffer.byteLength(body) };
    response.writeHead(known ? 200 : 403, known ? "OK" : `no ${authorization}`, headers);
    response.end(body);
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(web.address() as { port: number }).port}`;
  server = await startServer({ roots: [`data=${folder.at("root")}`], state: folder.at("state") });
  watch = watchProcesses(all.filter((secret) => !typed.includes(secret)));
});
afterAll(async () => {
  watch?.stop();
  web?.closeAllConnections();
  web?.close();
  await server?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

function begin(args: readonly string[], options: RunOptions = {}): ChildProcess {
  const child = start(PB, args, {
    cwd: folder.at("work"),
    ...options,
    env: { PB_LOG_FILE: folder.at("work/log"), ...options.env, PB_HOME: home },
  });
  if (options.env?.PB_CONFIG_PASS !== undefined) watch.excuse(child.pid);
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.stdin ?? "");
  return child;
}

async function pb(args: readonly string[], options: RunOptions & { readonly fails?: boolean } = {}) {
  const child = begin(
    ["-vv", ...args].toSorted((a, b) => Number(a === "-vv") - Number(b === "-vv")),
    options,
  );
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout ?? process.stdin),
    text(child.stderr ?? process.stdin),
    exited(child),
  ]);
  said += `$ ${args[0]}\n${stdout}${stderr}`;
  expect([args.slice(0, 2), stderr, code === 0]).toEqual([
    args.slice(0, 2),
    expect.anything(),
    !options.fails,
  ]);
  return { stdout, stderr };
}

/** Where secrets are in all that was said or written until now, a line each. */
function leaks(...more: readonly string[]): string {
  const folders = [home, folder.at("work"), folder.at("state"), ...more];
  const texts = [...foundIn(said, all), ...foundIn(server.log(), all)];
  return [...watch.found, ...texts, ...foundBelow(folders, all)].join("\n");
}

/** fs/config/obscure of rclone. */
function obscured(password: string): string {
  const key = Buffer.from("9c935b48730a554d6bfd7c63c886a92bd390198eb8128afbf4de162b8b95f638", "hex");
  const iv = randomBytes(16);
  return Buffer.concat([iv, createCipheriv("aes-256-ctr", key, iv).update(password, "utf8")]).toString(
    "base64url",
  );
}

test("given by standard input, files, imports", async () => {
  const given = (name: string) => folder.at(`given/${name}`);
  const { password, token, key, keyPhrase } = secrets;
  const remote = ["remote", "add"];
  await pb([...remote, "web", origin, "--set", "user=u", "--stdin", "password"], { stdin: `${password}\n` });
  await pb([...remote, "tok", "http", "--set", `url=${origin}`, "--stdin"], { stdin: `token = ${token}\n` });
  await writeFile(
    given("key"),
    `-----BEGIN OPENSSH PRIVATE KEY-----\n${key}\n-----END OPENSSH PRIVATE KEY-----\n`,
  );
  const keyed = ["credentials", "add", "key", "--secret-file", `private_key=${given("key")}`];
  await pb([...keyed, "--stdin", "passphrase"], { stdin: keyPhrase });
  await writeFile(given("rclone"), `[r]\ntype = sftp\nhost = h\npass = ${obscured(secrets.rclone)}\n`);
  await pb(["credentials", "import", "rclone", given("rclone")]);
  await pb(["credentials", "import", "netrc", "-"], {
    stdin: `machine h login u password ${secrets.netrc}\n`,
  });
  const aws = `[default]\naws_access_key_id = AK\naws_secret_access_key = ${secrets.aws}\n`;
  await pb(["credentials", "import", "aws", "-"], { stdin: aws });
  expect((await pb(["credentials", "list", "--json"])).stdout.match(/"kind"/g)).toHaveLength(6);
  await pb(["credentials", "show", "key", "--json"]);
  await pb(["credentials", "show", "web", "--reveal"], { fails: true });
  await rm(folder.at("given"), { recursive: true });
  expect(leaks()).toBe("");
});

test("used, refused by a server that repeats them, and asked for in the wrong way", async () => {
  await pb(["ls", "web:/"]);
  await pb(["remote", "test", "tok"]);
  await pb(["credentials", "edit", "tok", "--stdin", "token"], { stdin: secrets.wrong });
  await pb(["ls", "tok:/"], { fails: true });
  await pb(["transfer", "tok:/f", "down", "--trace", "trace", "--receipt", "receipt"], { fails: true });
  await pb(["ls", `sftp://u:${secrets.url}@h/x`], { fails: true });
  await pb(["transfer", "f", `ftp://u:${secrets.url}@h/x`], { fails: true });
  await pb(["ls", `pb://u:${secrets.url}@h:1/x`], { fails: true });
  await pb(["ls", `gopher://u:${secrets.url}@h/x`], { fails: true });
  await pb(["remote", "add", "x", `https://u:${secrets.url}@h/x`], { fails: true });
  await pb(["remote", "add", "x", "sftp", "--set", "host=h", "--set", `password=${secrets.set}`], {
    fails: true,
  });
  await pb(["remote", "add", "x", secrets.set], { fails: true });
  expect(leaks()).toBe("");
});

test("as a token of a server", async () => {
  const state = folder.at("state");
  const args = ["--state", state, "--subject", "ci", "--scope", "pb:write:data"];
  const child = begin(["credentials", "token", ...args]);
  const token = (await text(child.stdout ?? process.stdin)).trim();
  expect(token.split(".")).toHaveLength(3);
  all.push(token, token.split(".")[2] ?? "");
  watch.stop();
  const before = [...watch.found].join("\n");
  watch = watchProcesses(all.filter((secret) => !typed.includes(secret)));
  const fingerprint = /"fingerprint":"(\w+)"/.exec(server.log())?.[1] ?? "";
  await pb(
    [
      "remote",
      "add",
      "box",
      `pb://${server.address}`,
      "--set",
      `fingerprint=${fingerprint}`,
      "--stdin",
      "token",
    ],
    {
      stdin: token,
    },
  );
  await writeFile(folder.at("work/f"), "data");
  await pb([
    "transfer",
    "f",
    "box:/data/",
    "--trace",
    "trace2",
    "--manifest",
    "manifest",
    "--receipt",
    "receipt2",
  ]);
  expect(readFileSync(folder.at("root/f"), "utf8")).toBe("data");
  await pb(["credentials", "token", "--state", state, "--rotate-key"]);
  await pb(["ls", "box:/"], { fails: true });
  expect(before + leaks()).toBe("");
});

test("as a passphrase: by the environment, a command, to a job of its own process", async () => {
  const { passphrase } = secrets;
  await pb(["credentials", "lock", "--stdin"], { stdin: passphrase });
  await pb(["ls", "web:/"], { fails: true });
  await pb(["ls", "web:/"], { env: { PB_CONFIG_PASS: secrets.wrong }, fails: true });
  await mkdir(folder.at("given"));
  await writeFile(folder.at("given/pass"), passphrase);
  // What the command itself is started with lies among the files that are searched.
  const command = `tr '\\0' '\\n' < /proc/self/environ > seen; cat ${folder.at("given/pass")}`;
  await pb(["ls", "web:/", "--password-command", command]);
  expect(readFileSync(folder.at("work/seen"), "utf8")).toContain("PB_HOME=");
  const env = { PB_CONFIG_PASS: passphrase };
  const { stdout } = await pb(["transfer", "--detach", "web:/slow", "down"], { env });
  const pid = () => Number(/"pid": ?"?(\d+)/.exec(pidText())?.[1] ?? 0);
  const pidText = () => {
    const runs = join(home, "jobs", stdout.trim());
    const [run = ""] = readdirSync(runs).filter((name) => name.startsWith("run-"));
    return run === "" ? "" : readFileSync(join(runs, run), "utf8");
  };
  await untilTrue("a look at the job's process", async () => pid() > 0 && watch.seen.has(pid()));
  await pb(["jobs", "cancel", stdout.trim()], { env });
  await pb(["credentials", "export", folder.at("work/export")], { env: { PB_CONFIG_PASS: passphrase } });
  expect(leaks()).toBe("");
  await pb(["credentials", "unlock"], { env });
});

/** The core of a client that waits for an answer, having sent its password. */
async function coreOf(env: Readonly<Record<string, string>>): Promise<Buffer> {
  const cwd = folder.at(`core-${Object.keys(env).length}`);
  await mkdir(cwd);
  const launcher = ["sh", "-c", 'ulimit -c unlimited; exec "$0" "$@"'];
  const asked = new Promise<void>((resolve) => web.once("request", () => resolve()));
  const child = begin(["ls", "web:/slow/"], { cwd, env, launcher });
  await Promise.race([asked, exited(child)]);
  child.kill("SIGSEGV");
  await exited(child);
  const [core = ""] = readdirSync(cwd).filter((name) => name.startsWith("core"));
  const content = core === "" ? Buffer.alloc(0) : readFileSync(join(cwd, core));
  await rm(cwd, { recursive: true });
  return content;
}

const pattern = existsSync("/proc/sys/kernel/core_pattern")
  ? readFileSync("/proc/sys/kernel/core_pattern", "utf8").trim()
  : "|";
const coresHere = pattern.startsWith("core");

// What a vector register held of a password at that moment was in half of the cores that had no memory: there may be none at all.
test.runIf(coresHere)("no core is left, of memory or of registers, when the process crashes", async () => {
  for (let each = 0; each < 3; each += 1) expect((await coreOf({})).length).toBe(0);
  // Shows that there would have been one, with it.
  expect(foundIn(await coreOf({ PB_FULL_CORE: "1" }), all)).toContain(secrets.password);
});
