import { expect, test } from "vitest";
import { type EndpointConfig, Secret } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import { never } from "../conformance/fixture.ts";
import { webServer } from "../testing/web-server.ts";
import { openHttp } from "./backend.ts";

test("a refusal of the password of a moment ago may be repeated, one of the present one not", async () => {
  let password = "old";
  let accepted = "old";
  await using server = await webServer((request, response) => {
    const [, sent = ""] = /^Basic (.*)$/.exec(request.headers.authorization ?? "") ?? [];
    const isRight = Buffer.from(sent, "base64").toString("utf8") === `me:${accepted}`;
    // Rotated while the request was under way.
    password = "new";
    response.writeHead(isRight ? 200 : 401, { "content-length": 0 }).end();
  });
  const config: EndpointConfig = {
    kind: "http",
    settings: { url: server.url, user: "me" },
    secret: async (name) => (name === "password" ? new Secret(password) : undefined),
  };
  await using backend = await openHttp(config, { name: "web", home: "/nonexistent", env: {} });
  const stat = () =>
    backend.stat("f", { follow: true, signal: never }).catch((cause: unknown) => PbError.from(cause));
  accepted = "new";
  expect(await stat()).toMatchObject({ code: "unauthenticated", retryable: true, path: "f", peer: "web" });
  expect(await stat()).toMatchObject({ kind: "file" });
  accepted = "another";
  expect(await stat()).toMatchObject({ code: "unauthenticated", retryable: false });
});
