import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";

test("a log that can't be written is no failure of what is logged", () => {
  const logger = createLogger({ level: "info", file: "/dev/full" });
  for (let line = 0; line < 3; line += 1) expect(() => logger.info({ line }, "serving")).not.toThrow();
});
