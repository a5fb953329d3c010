import { expect, test } from "vitest";
import { EXIT, worstExit } from "./exit.ts";

test("the exit code of several things is that of the worst", () => {
  expect(worstExit([])).toBe(EXIT.ok);
  expect(worstExit([EXIT.ok, EXIT.partial, EXIT.temporary])).toBe(EXIT.temporary);
  expect(worstExit([EXIT.fatal, EXIT.notFound, EXIT.ok])).toBe(EXIT.fatal);
  expect(worstExit([EXIT.authentication, EXIT.interrupted, EXIT.fatal])).toBe(EXIT.interrupted);
});
