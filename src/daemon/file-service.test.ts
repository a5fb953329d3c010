import { expect, it } from "vitest";
import type { Backend } from "../backend/backend.ts";
import { PbError } from "../model/error.ts";
import { type Spot, told } from "./file-service.ts";

const spot = (kind: "chunks" | "root"): Spot => {
  const backend = { name: "store", native: { kind } } as unknown as Backend;
  return { backend, path: "d", above: "/" };
};
const broke = new PbError("not_empty", "the folder is not empty", { path: "d" });

it("names an endpoint beside its path, a server's own folder not: who asks knows the server by another name", () => {
  expect(told(broke, spot("chunks"))).toMatchObject({ path: "/d", peer: "store" });
  expect(told(broke, spot("root"))).toMatchObject({ path: "/d", peer: undefined });
  const named = new PbError("not_found", "gone", { path: "/d", peer: "other" });
  expect(told(named, spot("chunks"))).toMatchObject({ path: "/d", peer: "other" });
});
