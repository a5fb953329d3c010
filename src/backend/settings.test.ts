import { expect, test } from "vitest";
import type { EndpointConfig, Setting } from "../model/endpoint.ts";
import { authoritiesOf, textSetting } from "./settings.ts";

const config = (settings: Readonly<Record<string, Setting>>): EndpointConfig => ({
  kind: "s3",
  settings,
  secret: async () => undefined,
});

test("a text is a text, or not set", () => {
  expect(textSetting(config({ path: "a" }), "path", "nas")).toBe("a");
  for (const nothing of [config({}), config({ path: "" })])
    expect(textSetting(nothing, "path", "nas")).toBeUndefined();
  expect(() => textSetting(config({ path: 1 }), "path", "nas")).toThrow(
    expect.objectContaining({ code: "invalid_argument", message: "path must be text", peer: "nas" }),
  );
});

test("authorities that can't be read are told by their file", async () => {
  expect(await authoritiesOf(config({}), "nas")).toBeUndefined();
  await expect(authoritiesOf(config({ ca_file: "/not/there.pem" }), "nas")).rejects.toThrow(
    expect.objectContaining({
      code: "invalid_argument",
      message: "nas: ca_file /not/there.pem cannot be read",
      path: "/not/there.pem",
      peer: "nas",
    }),
  );
});
