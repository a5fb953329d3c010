import { PassThrough } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test } from "vitest";
import { ERROR_CODES, PbError } from "../model/error.ts";
import { exitCodeOf } from "../model/exit.ts";
import { toConnectError } from "../wire/connect.ts";
import { COMMANDS } from "./commands.ts";
import type { CommandHost } from "./context.ts";
import { Output } from "./output.ts";
import { errorText } from "./report.ts";
import { type CliSetup, cli, sink } from "./testing/cli.ts";
import { fakeFiles } from "./testing/services.ts";

const tree = {
  "/": 0,
  "/d/": 0,
  "/d/a.txt": 3,
  "/d/evil\u001b[31m\nname": 4_000_000,
  "/d/sub/": 0,
  "/d/sub/b": 5,
};
const withTree: CliSetup = { files: fakeFiles(tree) };

describe("list", () => {
  test("names, folders with a slash, nothing that a terminal would obey", async () => {
    const { code, stdout } = await cli(["ls", "box:/d"], withTree);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "a.txt\nevil\\x1b[31m\\nname\nsub/\n" });
  });

  test("long, with sizes for people", async () => {
    const { stdout } = await cli(["ls", "-lh", "box:/d"], withTree);
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^-rw-r--r-- {6}3 {2}2023-11-14 \d\d:\d\d {2}a\.txt$/);
    expect(lines[1]).toMatch(/^-rw-r--r-- {2}3\.81M {2}2023/);
    expect(lines[2]).toMatch(/^drwxr-xr-x {6}0 {2}2023-11-14 \d\d:\d\d {2}sub$/);
  });

  test.each([
    ["-o", "jsonl"],
    ["-o", "json"],
    ["-o", "yaml"],
  ])("%s %s gives every field", async (...format) => {
    const { stdout } = await cli(["ls", ...format, "box:/d/sub"], withTree);
    for (const part of ["path", "b", "file", "5", "2023-11-14T22:13:20.123456789Z", "0644"]) {
      expect(stdout).toContain(part);
    }
  });

  test("JSON is a list, also of nothing, and parses", async () => {
    const many = JSON.parse((await cli(["ls", "-R", "--json", "box:/d"], withTree)).stdout) as {
      path: string;
    }[];
    expect(many.map(({ path }) => path)).toEqual(["a.txt", "evil\u001b[31m\nname", "sub", "sub/b"]);
    expect((await cli(["ls", "--json", "/e"], { files: fakeFiles({ "/e/": 0 }) })).stdout).toBe("[]\n");
  });

  test("JSON that an error cuts short is a list of what there was", async () => {
    const run = await cli(["ls", "--json", "box:/d/sub", "box:/nothing", "box:/d"], withTree);
    expect(run.code).toBe(3);
    expect(JSON.parse(run.stdout)).toMatchObject([{ path: "sub/b" }]);
    expect((await cli(["ls", "--json", "box:/nothing"], withTree)).stdout).toBe("");
  });

  test("a bound on depth", async () => {
    const { stdout } = await cli(["ls", "--depth", "1", "box:/d"], withTree);
    expect(stdout).not.toContain("sub/b");
  });

  test("a file, and globs, with their names", async () => {
    expect((await cli(["ls", "box:/d/a.txt"], withTree)).stdout).toBe("a.txt\n");
    expect((await cli(["ls", "box:/d/s*"], withTree)).stdout).toBe("sub/b\n");
  });
});

describe("errors", () => {
  const failing = (error: Error): CliSetup => ({
    files: {
      stat: () => {
        throw error;
      },
    },
  });

  test.each(ERROR_CODES)("%s has its exit code and is told with path, hint and code", async (code) => {
    const error = new PbError(code, "it broke", { path: "/p\nq", hint: "Do this." });
    const text = await cli(["stat", "box:/x"], failing(toConnectError(error)));
    expect(text.code).toBe(exitCodeOf(code));
    expect(text.stdout).toBe("");
    if (code !== "aborted") expect(text.stderr).toBe("pb: /p\\nq: it broke\n    Do this.\n");
    const json = await cli(["stat", "--json", "box:/x"], failing(toConnectError(error)));
    expect(json.code).toBe(exitCodeOf(code));
    expect(JSON.parse(json.stderr).error).toMatchObject({ code, exitCode: exitCodeOf(code) });
  });

  test.each([
    [{ path: "/x", peer: "box" }, "box:/x: broke"],
    [{ path: "/x", peer: "h.example:7373" }, "pb://h.example:7373/x: broke"],
    [{ path: "a/x", peer: "box" }, "a/x: broke"],
    [{ path: "/x" }, "/x: broke"],
    [{ peer: "box" }, "box: broke"],
    [{ path: "/x", peer: "--flag" }, "/x: broke"],
    [{}, "broke"],
  ])("name what %j is about", (about, text) => {
    expect(errorText(new PbError("io_error", "broke", about))).toBe(text);
  });

  test("name a remote once where it speaks of itself", () => {
    const about = { path: "/x", peer: "web" };
    expect(errorText(new PbError("not_found", "web: 404", about))).toBe("web:/x: 404");
    expect(errorText(new PbError("not_found", "other: 404", about))).toBe("web:/x: other: 404");
    expect(errorText(new PbError("not_found", "web: 404", { path: "here/x" }))).toBe("here/x: web: 404");
  });

  test("of another program in between", async () => {
    const { code, stderr } = await cli(
      ["stat", "box:/x"],
      failing(new ConnectError("no route", Code.Unavailable)),
    );
    expect({ code, stderr }).toEqual({ code: 5, stderr: "pb: no route\n" });
  });

  test("after Ctrl-C everything is an interruption", async () => {
    const { code } = await cli(["stat", "box:/x"], {
      ...failing(new Error("x")),
      signal: AbortSignal.abort(),
    });
    expect(code).toBe(130);
  });

  test.each([
    [[], 2],
    [["nope"], 2],
    [["ls", "--nope"], 2],
    [["stat"], 2],
    [["ls", "--depth", "0"], 2],
    [["ls", "-o", "xml"], 2],
    [["ls", "--json", "-o", "yaml"], 2],
    [["cp", "only-one"], 2],
    [["cp", "-", "a", "b"], 2],
    [["cp", "box:/a", "-", "--json"], 2],
    [["cp", "--chunk", "100K", "a", "b"], 2],
    [["cp", "--memory", "1M", "a", "b"], 2],
    [["cp", "x/f", "y/f", "box:/d"], 2],
    [["cp", "--min-size", "2M", "--max-size", "1M", "a", "b"], 2],
    [["mv", "-", "b"], 2],
    [["rename", "box:/d/a.txt", "x/y"], 2],
    [["rename", "box:/", "x"], 2],
    [["rm", "-r", "box:/"], 2],
    [["rm", "-r", "box:/d"], 2],
    [["remote", "add", "a/b", "INVITE"], 2],
    [["invite", "--path", "sub"], 2],
    [["completion", "tcsh"], 2],
    [["mkdir", "-m", "9", "x"], 2],
  ])("%j is a usage error", async (args, code) => {
    const run = await cli(args, withTree);
    expect(run.code).toBe(code);
    expect(run.stderr).toMatch(/^(pb: |Usage: pb|\{"error":)/);
    expect(run.stdout).toBe("");
  });

  test("a usage error in JSON", async () => {
    const { stderr } = await cli(["ls", "--nope", "--json"]);
    expect(JSON.parse(stderr).error).toMatchObject({ code: "usage", exitCode: 2 });
  });
});

describe("output", () => {
  const terminal = { stdin: new PassThrough(), stdout: sink(), stderr: sink(), env: {} };

  test("colours only where asked for or on a terminal; NO_COLOR wins", async () => {
    const run = async (env: Record<string, string>) =>
      (await cli(["ls", "box:/d/sub", "box:/d"], { ...withTree, env })).stdout;
    expect(await run({ FORCE_COLOR: "1" })).toContain("\x1b[");
    expect(await run({ FORCE_COLOR: "1", NO_COLOR: "1" })).not.toContain("\x1b[");
    expect(await run({})).not.toContain("\x1b[");
    expect(await run({ FORCE_COLOR: "0" })).not.toContain("\x1b[");
  });

  test("a reader that went away ends it quietly", async () => {
    const stdoutError = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
    const { code, stderr } = await cli(["ls", "-R", "box:/d"], { ...withTree, stdoutError });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test.each(["text", "json"])(
    "a log (%s) that can't be written on any more ends with a word",
    async (format) => {
      const flags = ["--log-file", "/dev/full", "--log-format", format, "-v"];
      const { code, stdout, stderr } = await cli(["rm", ...flags, "box:/d/a.txt", "box:/d/sub/b"], {
        files: { remove: () => ({ files: 1n }) },
      });
      expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
      expect(stderr.match(/nothing more goes to \/dev\/full: ENOSPC/g)).toHaveLength(1);
      expect(stderr).toContain("removed: box:/d/sub/b");
    },
  );

  test("a slow reader is waited for, and no listener is left behind", async () => {
    const out = new PassThrough({ highWaterMark: 1 });
    const listeners = () => ["drain", "close", "error"].map((name) => out.listenerCount(name));
    const output = new Output({ terminal: { ...terminal, stdout: out }, format: "table" });
    const before = listeners();
    const read: string[] = [];
    const writing = (async () => {
      for (let at = 0; at < 50; at += 1) await output.write(`${at}\n`);
    })();
    setTimeout(() => out.on("data", (chunk) => read.push(String(chunk))), 20);
    await writing;
    out.removeAllListeners("data");
    expect(read.join("").split("\n").length).toBeGreaterThan(45);
    expect(listeners()).toEqual(before);
  });

  test("version and help need no services", async () => {
    expect((await cli(["version", "--json"])).stdout).toMatch(/^\{"version":"1\.2\.3"/);
    const help = await cli(["transfer", "--help"]);
    expect(help.code).toBe(0);
    for (const text of ["powers of 1024", "its contents go inside", "--files-from", "tar c"]) {
      expect(help.stdout).toContain(text);
    }
  });

  test("--version and -V are the command version", async () => {
    const said = (await cli(["version"])).stdout;
    for (const flag of ["--version", "-V"]) {
      expect(await cli([flag])).toMatchObject({ code: 0, stdout: said, stderr: "" });
      expect((await cli([flag, "--json"])).stdout).toMatch(/^\{"version":"1\.2\.3"/);
    }
    expect((await cli(["-V", "lsit"])).code).toBe(2);
    expect((await cli(["lsit"])).stderr).toContain("unknown command");
  });

  test("options of every command may stand before its name", async () => {
    expect(JSON.parse((await cli(["--json", "stat", "box:/d"], withTree)).stdout)).toMatchObject({
      kind: "directory",
    });
  });
});

describe("rm", () => {
  test("asks before folders go; where nobody can be asked it names --yes", async () => {
    const { stderr } = await cli(["rm", "-r", "box:/d"], withTree);
    expect(stderr).toContain("--yes");
  });

  test("with --yes, or for single files, it does not", async () => {
    const removed: boolean[] = [];
    const files = {
      ...fakeFiles(tree),
      remove: ({ recursive }: { recursive: boolean }) => {
        removed.push(recursive);
        return { files: 2n, directories: 1n };
      },
    };
    const run = await cli(["rm", "-r", "--yes", "--json", "box:/d"], { files });
    expect(JSON.parse(run.stdout)).toEqual([{ location: "box:/d", files: 2, directories: 1 }]);
    expect((await cli(["rm", "box:/d/a.txt"], { files })).code).toBe(0);
    expect(removed).toEqual([true, false]);
  });

  test("a dry run lists, removes nothing", async () => {
    const { stdout } = await cli(["rm", "-r", "-n", "/d/sub"], withTree);
    expect(stdout).toBe("would remove /d/sub\nwould remove /d/sub/b\n");
  });
});

describe("servers and remotes", () => {
  test("serve says how to enrol, for people and for programs", async () => {
    const people = await cli(["serve", "--root", "/srv"]);
    expect(people.stdout).toContain("Serving on [::]:7373");
    expect(people.stdout).toContain("pb remote add NAME pb1:box.example:7373:token");
    const programs = await cli(["serve", "--root", "/srv", "--json"]);
    expect(JSON.parse(programs.stdout)).toEqual({
      host: "::",
      port: 7373,
      fingerprint: "ab",
      state: "/state",
      invite: "pb1:box.example:7373:token",
    });
  });

  test("tables of remotes and clients", async () => {
    expect((await cli(["remote", "list"])).stdout).toMatch(
      /^NAME {2}TYPE {2}ADDRESS .*\nbox {3}pb {4}box\.example:7373 {2}read, write/,
    );
    expect((await cli(["clients", "list"])).stdout).toMatch(/\nc1 {2}laptop {2}read .* never .* ok\n$/);
    expect((await cli(["remote", "list"], { remotes: [] })).stderr).toContain("pb remote add");
  });

  test.each([
    [{}, "read, write"],
    [{ readOnly: true }, "read"],
    [{ byToken: true }, "by token"],
    [{ byToken: true, scopes: ["pb:write:a"] }, "by token: read, write"],
    [{ byToken: true, scopes: ["pb:read:a"], readOnly: true }, "by token: read"],
    [{ byToken: true, scopes: [], readOnly: true }, "by token: nothing"],
  ] as const)("the access of a server known by %j", async (known, access) => {
    const box = {
      name: "box",
      type: "pb",
      address: "h:1",
      fingerprint: "ab",
      clientId: "",
      path: "/",
    } as const;
    const remotes = [{ ...box, readOnly: false, expiresAt: "", ...known }];
    expect((await cli(["remote", "list"], { remotes })).stdout).toMatch(new RegExp(` h:1 +${access} +/ `));
  });

  test("doctor: a fix per line, the worst of what failed makes the exit code", async () => {
    const checks = [
      { name: "clock", status: "ok", detail: "within 2 ms" },
      { name: "udp", status: "fail", detail: "no answer", fix: "Open UDP port 7373." },
    ] as const;
    const { code, stdout } = await cli(["doctor", "box"], { checks });
    expect(code).toBe(1);
    expect(stdout).toContain("ok       clock");
    expect(stdout).toMatch(/fail {5}udp .* no answer\n +do: Open UDP port 7373\./);
    expect(JSON.parse((await cli(["doctor", "--json"], { checks })).stdout)).toEqual(checks);
    const refused = { name: "login", status: "fail", detail: "refused", code: "unauthenticated" } as const;
    expect((await cli(["doctor"], { checks: [refused, ...checks] })).code).toBe(4);
  });
});

test("help of a command below another", async () => {
  const { stdout } = await cli(["remote", "add", "--help"]);
  expect(stdout).toMatch(/^Usage: pb remote add/);
  expect(await cli(["help", "remote", "add"])).toMatchObject({ code: 0, stdout });
  expect(await cli(["remote", "help", "add"])).toMatchObject({ code: 0, stdout });
  expect(await cli(["--json", "help", "remote", "add"])).toMatchObject({ code: 0, stdout });
  const group = /^Usage: pb remote \[/;
  expect(await cli(["help", "remote"])).toMatchObject({ code: 0, stdout: expect.stringMatching(group) });
  const ls = /^Usage: pb list\|ls /;
  expect(await cli(["help", "ls"])).toMatchObject({ code: 0, stdout: expect.stringMatching(ls) });
});

test("help of what is no command says so", async () => {
  const nothing = { code: 2, stdout: "" };
  const remote = await cli(["help", "remote", "lst"]);
  expect(remote).toMatchObject({
    ...nothing,
    stderr: "pb: pb remote has no command lst\n    did you mean list?\n",
  });
  const top = await cli(["help", "zebra", "x"]);
  expect(top).toMatchObject({ ...nothing, stderr: expect.stringContaining("pb has no command zebra") });
});

/** As main.ts sets it before anything has run: who falls over on the way ends with it. */
test("help is no failure while the process still counts as one", async () => {
  const before = process.exitCode;
  onTestFinished(() => {
    process.exitCode = before;
  });
  process.exitCode = 7;
  for (const words of [["help", "ls"], ["help"], ["ls", "--help"], ["remote", "help", "add"]])
    expect(await cli(words)).toMatchObject({ code: 0, stderr: "" });
});

test("every command is found by the names that it says it has", async () => {
  const host = {} as CommandHost;
  for (const { names, load } of COMMANDS) {
    const command = (await load())(host);
    expect([command.name(), ...command.aliases()]).toEqual(names);
  }
});

test.each([["jobs", "list"], ["clients", "revoke"], ["credentials", "export"], ["version"]])(
  "the help of %s %s says what it does, and has -h",
  async (...words) => {
    const { code, stdout } = await cli([...words, "--help"]);
    expect(code).toBe(0);
    const [usage, , what = ""] = stdout.split("\n");
    expect([usage, what]).toEqual([
      expect.stringMatching(`^Usage: pb ${words.join(" ")}`),
      expect.stringMatching(/^[A-Z].*[\w.,]$/),
    ]);
    expect(stdout).toContain("show this help");
  },
);
