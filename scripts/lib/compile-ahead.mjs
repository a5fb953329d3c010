/**
 * Keeps what V8 compiles of the packs in dist/ while `pb` copies a file, beside them: compile-ahead.mjs PB END. Run by the build, in a process
 * of its own as `pb` ends it; a later run adds to what is there. END: "local"; "remote", to a server of ours that is started for it; "http",
 * "s3-get", "s3-put", with this process as their server. All on the loopback.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [, , pb, end] = process.argv;
const BYTES = Buffer.from("x");
/** As S3 gives it. */
const TAG = `"${createHash("md5").update(BYTES).digest("hex")}"`;
const folder = mkdtempSync(join(tmpdir(), "pb-compile-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(1));
const file = join(folder, "file");
writeFileSync(file, BYTES);
process.env.PB_HOME = join(folder, "home");
const into = `${join(folder, "to")}/`;
const ENDS = {
  local: () => [file, into],
  remote: async () => [file, `${await ours()}:/to`],
  http: async () => [`${await web()}/file`, into],
  "s3-get": async () => [`${await bucket()}:file`, into],
  "s3-put": async () => [file, `${await bucket()}:new`],
};
const words = await ENDS[end]();

process.argv = [process.execPath, pb, "transfer", "--quiet", ...words];
let scripts = new Map();
process.on("exit", (code) => {
  if (code !== 0) return;
  for (const [pack, { script, hash }] of scripts) {
    const beside = `${pack}.${process.pid}.tmp`;
    writeFileSync(beside, Buffer.concat([Buffer.from(hash, "latin1"), script.createCachedData()]));
    renameSync(beside, `${pack}.v8`);
  }
});
({ scripts } = createRequire(import.meta.url)(pb));

/** The name of a remote: our own server. */
async function ours() {
  const root = join(folder, "root");
  mkdirSync(root);
  const serve = [
    "serve",
    "--root",
    root,
    "--state",
    join(folder, "state"),
    "--listen",
    "127.0.0.1:0",
    "--json",
  ];
  const server = spawn(process.execPath, [pb, ...serve], { stdio: ["ignore", "pipe", "ignore"] });
  process.on("exit", () => server.kill("SIGKILL"));
  for await (const line of createInterface({ input: server.stdout })) {
    server.unref();
    return remote(JSON.parse(line).invite);
  }
  return process.exit(1);
}

/** The name of a remote: a bucket with one object, that keeps nothing. */
async function bucket() {
  const endpoint = await web();
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "key" });
  return remote("s3", "--set", `endpoint=${endpoint}`, "--set", "bucket=bucket");
}

function remote(...given) {
  spawnSync(process.execPath, [pb, "remote", "add", "there", ...given], { stdio: "ignore" });
  return "there";
}

/** The URL of a web server whose names that end in "file" are one. */
async function web() {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

function answer({ method, url, headers }, reply) {
  const isThere = method === "PUT" || /file$/.test(url);
  const body = method === "GET" && isThere ? BYTES : Buffer.alloc(0);
  reply.setHeader("ETag", TAG);
  reply.setHeader("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT");
  reply.setHeader("Accept-Ranges", "bytes");
  reply.setHeader("Content-Length", method === "HEAD" && isThere ? BYTES.length : body.length);
  if (headers.range) reply.setHeader("Content-Range", `bytes 0-${BYTES.length - 1}/${BYTES.length}`);
  reply.writeHead(isThere ? (headers.range ? 206 : 200) : 404).end(body);
}
