import { randomBytes } from "node:crypto";
import type { Backend } from "../backend/backend.ts";
import type { Check, TestOptions } from "../model/actions.ts";
import { PbError } from "../model/error.ts";
import { displayPath } from "../model/path.ts";

export interface RemoteTest extends TestOptions {
  readonly name: string;
  readonly open: (signal: AbortSignal) => Promise<Backend>;
}

/** Says, one after the other, what works at a remote. After the first that fails nothing more is tried but what does not need it. */
export async function* testRemote({ name, open, path, write, signal }: RemoteTest): AsyncIterable<Check> {
  let backend: Backend | undefined;
  const connect = await tried(`connect to ${name}`, async () => {
    backend = await open(signal);
    const { kind } = await backend.stat(path, { follow: true, signal });
    return `${path === "" ? "its top" : path} is a ${kind}`;
  });
  yield connect;
  if (!backend || connect.status === "fail") return;
  const there = backend;
  yield await tried("list", () => firstEntries(there, path, signal));
  if (write) yield await tried("write", () => probe(there, path, signal));
  yield* abilities(there, { write });
}

async function tried(name: string, work: () => Promise<string>): Promise<Check> {
  try {
    return { name, status: "ok", detail: await work() };
  } catch (error) {
    const { code, message, hint } = PbError.from(error);
    const detail = `${code}: ${displayPath(message)}`;
    return { name, status: "fail", detail, code, ...(hint && { fix: hint }) };
  }
}

async function firstEntries(backend: Backend, path: string, signal: AbortSignal): Promise<string> {
  for await (const { entries, errors } of backend.list(path, { recursive: false, follow: false, signal })) {
    if (errors[0]) throw errors[0];
    if (entries.length > 0) return `${entries.length} entries in the first answer`;
  }
  return "nothing is there";
}

/** No name that anybody else has. */
async function probe(backend: Backend, folder: string, signal: AbortSignal): Promise<string> {
  const name = `.pb-test-${randomBytes(8).toString("hex")}`;
  const path = folder === "" ? name : `${folder}/${name}`;
  await backend.touch(path, { create: true, signal });
  try {
    const { size } = await backend.stat(path, { follow: false, signal });
    if (size !== 0)
      throw new PbError("verification_failed", "an empty file that was made is not empty", { path });
  } finally {
    await backend.remove(path, { recursive: false, signal });
  }
  return "an empty file was made, seen and removed";
}

/** What an endpoint without an engine lets this user write is known by trying alone. */
const NOT_TRIED: Check = {
  name: "writable",
  status: "skipped",
  detail: "not tried; --write makes an empty file there, and removes it",
};

function* abilities(
  { capabilities, native }: Backend,
  { write }: Pick<RemoteTest, "write">,
): Iterable<Check> {
  for (const [name, value] of Object.entries(capabilities)) {
    if (name === "writable" && native.kind === "chunks") {
      if (!write) yield NOT_TRIED;
    } else if (value === true) yield { name, status: "ok", detail: "yes" };
    else if (value === false) yield { name, status: "skipped", detail: "no" };
    else if (typeof value === "string") yield { name, status: "skipped", detail: value };
  }
}
