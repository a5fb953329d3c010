import { expect, test } from "vitest";
import { bufferOf, descriptorOf, parseStrace, pathsOf } from "./strace.ts";

const LOG = `7 openat(AT_FDCWD</srv>, "a", O_RDONLY) = 3</srv/a>
7 fsync(9</srv/part> <unfinished ...>
8 sendmsg(22<UDP:[127.0.0.1:1->127.0.0.1:2]>, {msg_iov=[{iov_base="\\x41"}]}, 0) = 1
7 <... fsync resumed>)                    = 0
7 --- SIGCHLD ---
9 renameat(5</srv>, "part", 5</srv>, "\\x66\\x69\\x6e\\x61\\x6c") = 0
9 fdatasync(6</srv/j>) = 0 (INJECTED)
9 pwrite64(6<\\x2f\\x6a>, "\\x00\\xff", 2, 0) = -1 EIO (Input/output error) (INJECTED)
9 fsync(6</srv/j> <unfinished ...>
9 +++ killed by SIGKILL +++
`;

test("calls, those in pieces too, with when they began and ended", () => {
  const calls = parseStrace(LOG);
  expect(calls.map(({ name, result }) => [name, result])).toEqual([
    ["openat", 3],
    ["fsync", 0],
    ["sendmsg", 1],
    ["renameat", 0],
    ["fdatasync", 0],
    ["pwrite64", -1],
    ["fsync", Number.NaN],
  ]);
  expect(calls[1]).toMatchObject({ thread: 7, began: 1, ended: 3, injected: false });
  expect(calls[4]).toMatchObject({ injected: true });
  expect(calls[6]?.ended).toBe(Number.POSITIVE_INFINITY);
});

test("descriptors, sockets, paths against their folders, buffers", () => {
  const [open, sync, send, rename, , write] = parseStrace(LOG);
  if (!open || !sync || !send || !rename || !write) throw new Error("calls are missing");
  expect(pathsOf(open)).toEqual(["/srv/a"]);
  expect(descriptorOf(sync)).toBe("/srv/part");
  expect(descriptorOf(send)).toBe("UDP:[127.0.0.1:1->127.0.0.1:2]");
  expect(pathsOf(rename)).toEqual(["/srv/part", "/srv/final"]);
  expect(descriptorOf(write)).toBe("/j");
  expect(bufferOf(write)).toBe("00ff");
});
