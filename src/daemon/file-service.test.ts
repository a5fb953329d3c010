import { expect, it } from "vitest";
import type { Backend } from "../backend/backend.ts";
import { PbError } from "../model/error.ts";
import { type Spot, told } from "./file-service.ts";

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
