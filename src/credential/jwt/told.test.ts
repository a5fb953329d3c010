import { expect, it } from "vitest";
import { wordsOf } from "./told.ts";

const jwt = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

it.each([
  [{ scope: "pb:read:data openid", exp: 1_800_000_000 }, ["pb:read:data"], true, "2027-01-15T08:00:00.000Z"],
  [{ scope: "pb:read:* pb:write:out" }, ["pb:read:*", "pb:write:out"], false, ""],
  [{ scp: ["pb:read:/"], exp: 1e300 }, ["pb:read:/"], true, ""],
  [{ scope: "openid", exp: "soon" }, [], true, ""],
])("says what %j says", (claims, scopes, readOnly, expiresAt) => {
  expect(wordsOf(jwt(claims))).toEqual({ scopes, readOnly, expiresAt });
});

it.each(["", "secret", "a.b", "a.b.c", `e30.${Buffer.from("1").toString("base64url")}.x`, jwt(null)])(
  "says nothing of %j",
  (text) => expect(wordsOf(text)).toBeUndefined(),
);
