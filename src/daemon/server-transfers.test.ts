import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Backend } from "../backend/backend.ts";
import { openRemoteTables } from "../credential/remote-tables.ts";
import { StartRequestSchema } from "../gen/packetboat/v1/transfer_pb.ts";
import { Metrics } from "../metrics/metrics.ts";
import type { Caller } from "../model/identity.ts";
import { pathBytes } from "../model/path.ts";
import { onAbort } from "../run/abort.ts";
import type { JobDeps } from "./jobs/deps.ts";
import { createServerTransfers, type ServerTransfersOptions } from "./server-transfers.ts";

const caller: Caller = { clientId: "c", name: "c", readOnly: false, path: "/" };
const signal = new AbortController().signal;
/** For what happens soon: a busy machine may take its time. */
const PATIENCE = { timeout: 10_000 };

/** Remotes that do not answer. */
const silent: ServerTransfersOptions["remotes"] = {
  open: (_, ending) =>
    new Promise<Backend>((_resolve, reject) => onAbort(ending, () => reject(ending.reason))),
  watch: () => () => {},
  renew: () => {},
};

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "pb-served-"));
  await setFar({ host: "h" });
});
afterEach(() => rm(state, { recursive: true, force: true }));

function setFar(settings: Readonly<Record<string, string>>): Promise<unknown> {
  return openRemoteTables(state).edit((all) => all.set("far", { type: "sftp", ...settings, allow: ["*"] }));
}

function transfersOver(remotes: ServerTransfersOptions["remotes"]) {
  return createServerTransfers({
    ...({ engine: {}, checkpoints: {}, places: {} } as Pick<JobDeps, "engine" | "checkpoints"> &
      Pick<ServerTransfersOptions, "places">),
    ...{ state, remotes, track: () => () => {}, metrics: new Metrics() },
    ...{ spoolParent: state, keeps: true },
  });
}

function requestFor(name: string) {
  const at = (path: string) => ({ remote: "far", path: pathBytes(path) });
  return create(StartRequestSchema, { sources: [at(`/${name}`)], destination: at(`/to/${name}`) });
}

it("a job for which there is no room is refused, and not recorded as one that waits", async () => {
  await using transfers = transfersOver(silent);
  const begin = (name: string) => transfers.begin(caller, requestFor(name), signal);
  const all = await Promise.allSettled(Array.from({ length: 18 }, (_, n) => begin(`${n}`)));
  const refused = all.filter(({ status }) => status === "rejected");
  expect(refused).toEqual(
    Array(2).fill({ status: "rejected", reason: expect.objectContaining({ code: "resource_exhausted" }) }),
  );
  const [home] = await transfers.homes(caller);
  expect((await home?.store.list())?.jobs).toHaveLength(16);
  // What ends makes room.
  const [live] = await vi.waitUntil(
    () => (home?.live.size === 16 ? [...home.live.values()] : undefined),
    PATIENCE,
  );
  await live?.stop("cancel");
  expect((await vi.waitFor(() => begin("again"), PATIENCE)).resumed).toBe(false);
});

it("what a server's owner changes of a remote counts from the next job on, who may use it at once", async () => {
  const renew = vi.fn();
  await using transfers = transfersOver({ ...silent, renew });
  await transfers.begin(caller, requestFor("a"), signal);
  await transfers.begin(caller, requestFor("b"), signal);
  expect(renew).not.toHaveBeenCalled();
  await setFar({ host: "other" });
  await transfers.begin(caller, requestFor("c"), signal);
  await vi.waitFor(() => expect(renew.mock.calls).toEqual([["far"]]), PATIENCE);
});
