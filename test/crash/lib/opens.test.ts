import { expect, test } from "vitest";
import { openedFiles } from "./opens.ts";

test("a file is opened where it can be read or written: to be looked at is not enough", () => {
  const log = [
    '12 openat2(9, "d0/f1", {flags=O_RDONLY|O_CLOEXEC, resolve=RESOLVE_BENEATH}, 24) = 11',
    '12 openat2(9, "d0/f2", {flags=O_NOFOLLOW|O_CLOEXEC|O_PATH, resolve=RESOLVE_BENEATH}, 24) = 11',
    '13 openat(AT_FDCWD, "/x/d7/f37", O_RDONLY <unfinished ...>',
    '13 openat(4, ".pb-7-1.part", O_RDWR|O_CREAT|O_EXCL, 0600) = 5',
    '13 open("/etc/f4x", O_RDONLY) = 5',
  ];
  expect([...openedFiles(log.join("\n"))]).toEqual(["f1", "f37"]);
});
