import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { expect, it } from "vitest";
import type { Backend } from "../backend/backend.ts";
import { MkdirRequestSchema, RenameRequestSchema } from "../gen/packetboat/v1/file_pb.ts";
import { PbError } from "../model/error.ts";
import { createFileService, type Spot, told } from "./file-service.ts";

const spot = (name: string, { path = "d", above = "/" } = {}): Spot => {
  const backend = { name } as unknown as Backend;
  return { backend, path, above };
};
const broke = new PbError("not_empty", "the folder is not empty", { path: "d" });

it("names a remote beside its path, a server's own folder not: who asks knows the server by another name", () => {
  expect(told(broke, spot("store"))).toMatchObject({ path: "/d", peer: "store" });
  expect(told(broke, spot(""))).toMatchObject({ path: "/d", peer: undefined });
  const named = new PbError("not_found", "gone", { path: "/d", peer: "other" });
  expect(told(named, spot("store"))).toMatchObject({ path: "/d", peer: "other" });
});

it("names a folder above what was asked for as the asker writes paths", () => {
  expect(told(broke, spot("store", { path: "/d/e", above: "" }))).toMatchObject({ path: "/d" });
  expect(told(broke, spot("store", { path: "d/e", above: "" }))).toMatchObject({ path: "d" });
});

it("names the remote in what is refused before anything was tried", async () => {
  const at = (name: string, writable: boolean): Spot => {
    const backend = { name, capabilities: { writable } } as unknown as Backend;
    return { backend, path: "d", above: "/" };
  };
  const spots = new Map([
    ["readable", at("readable", false)],
    ["one", at("one", true)],
    ["two", at("two", true)],
  ]);
  const files = createFileService({ resolve: async ({ remote }) => spots.get(remote) as Spot });
  const context = { signal: new AbortController().signal } as HandlerContext;
  const mkdir = create(MkdirRequestSchema, { location: { remote: "readable" } });
  const refused = { code: "read_only", path: "/d", peer: "readable" };
  await expect(files.mkdir(mkdir, context)).rejects.toMatchObject(refused);
  const rename = create(RenameRequestSchema, { source: { remote: "one" }, destination: { remote: "two" } });
  const apart = { code: "cross_device", path: "/d", peer: "two" };
  await expect(files.rename(rename, context)).rejects.toMatchObject(apart);
});
