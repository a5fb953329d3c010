import { expect, it } from "vitest";
import { PbError } from "../../model/error.ts";
import { Said } from "./said.ts";

it("names the endpoint beside a path of its own only", () => {
  const said = new Said();
  const words = "the SFTP server says: Permission denied";
  said.note(new PbError("permission_denied", words, { path: "/up/a", peer: "nas", hint: "ask its owner" }));
  const explained = (path: string) => said.explain(new PbError("permission_denied", words, { path }));
  expect(explained("/up/a")).toMatchObject({
    path: "/up/a",
    peer: "nas",
    message: words,
    hint: "ask its owner",
  });
  expect(explained("/home/me/a")).toMatchObject({
    path: "/home/me/a",
    peer: undefined,
    message: `nas: ${words}`,
  });
  const own = new PbError("io_error", "a disk here", { path: "/home/me/a" });
  expect(said.explain(own)).toBe(own);
});
