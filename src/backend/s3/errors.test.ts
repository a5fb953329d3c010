import { expect, test } from "vitest";
import { s3Error } from "./errors.ts";

const at = { path: "x", peer: "store" };
/** As the SDK makes it. */
const thrown = (name: string, message: string, httpStatusCode: number) =>
  Object.assign(new Error(message), { name, $metadata: { httpStatusCode } });

test("a refusal without words has those of its status, and says what to look at", () => {
  for (const [name, message] of [
    ["Unknown", "UnknownError"],
    ["UnknownError", ""],
    ["Unknown", "Unknown"],
  ] as const)
    expect(s3Error(thrown(name, message, 400), at)).toMatchObject({
      code: "invalid_argument",
      message: "store: the server answered 400 Bad Request",
      hint: expect.stringContaining("bucket's name"),
    });
});

test("the server's own words stay", () => {
  const error = s3Error(thrown("NoSuchBucket", "The specified bucket does not exist", 404), at);
  expect(error).toMatchObject({
    code: "not_found",
    message: "store: The specified bucket does not exist (404)",
  });
});
