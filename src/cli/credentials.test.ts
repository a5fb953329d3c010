import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { cli } from "./testing/cli.ts";
import { parseTarget } from "./words/setting.ts";

const folder = mkdtempSync(join(tmpdir(), "pb-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

type Given = { name: string; kind?: string; settings?: object; secrets: Record<string, string> };

/** Runs and gives what the services were asked to keep, in the clear. */
async function keeping(args: readonly string[], stdin = "") {
  const given: Given[] = [];
  const run = await cli(args, {
    stdin,
    onEndpoint: ({ secrets, ...rest }) => {
      const open = [...secrets].map(([name, secret]) => [name, secret.reveal()]);
      given.push({ ...rest, secrets: Object.fromEntries(open) });
    },
  });
  return { ...run, given };
}

describe("secrets come in", () => {
  test("by standard input, whole, under a name", async () => {
    const args = ["remote", "add", "nas", "sftp://me@h:22/srv/x", "--stdin", "password"];
    const { code, given, stdout, stderr } = await keeping(args, "hunter2 \n");
    expect(code).toBe(0);
    const settings = { host: "h", user: "me", port: 22, path: "/srv/x" };
    expect(given).toEqual([{ name: "nas", kind: "sftp", settings, secrets: { password: "hunter2 " } }]);
    expect(stdout + stderr).not.toContain("hunter2");
  });

  test("by standard input, several lines, and from files", async () => {
    const file = join(folder, "key");
    writeFileSync(file, "-----BEGIN X-----\nkey\n");
    const s3 = ["remote", "add", "s", "s3", "--set", "path_style=true", "--set", "bucket=b", "--stdin"];
    const lines = "access_key_id = AK\n# comment\n\nsecret_access_key=a=b\n";
    expect((await keeping(s3, lines)).given).toEqual([
      {
        name: "s",
        kind: "s3",
        settings: { bucket: "b", path_style: true },
        secrets: { access_key_id: "AK", secret_access_key: "a=b" },
      },
    ]);
    const keyed = ["credentials", "add", "k", "--secret-file", `private_key=${file}`];
    expect((await keeping(keyed)).given).toEqual([
      { name: "k", secrets: { private_key: "-----BEGIN X-----\nkey\n" } },
    ]);
  });

  test("from a file without the end of its line, which is none of a password", async () => {
    const file = join(folder, "word");
    writeFileSync(file, "hunter2\n");
    const args = ["credentials", "add", "k", "--secret-file", `password=${file}`];
    expect((await keeping(args)).given[0]?.secrets).toEqual({ password: "hunter2" });
  });

  test("beside files, which are kept as they are found from anywhere", async () => {
    const sftp = [
      "remote",
      "add",
      "n",
      "sftp",
      "--set",
      "host=h",
      "--set",
      "key_file=keys/id",
      "--set",
      "path=x",
    ];
    const settings = { host: "h", key_file: "/here/keys/id", path: "x" };
    expect((await keeping([...sftp, "--stdin", "password"], "p")).given[0]?.settings).toEqual(settings);
    const ftp = ["remote", "add", "n", "ftp", "--set", "host=h", "--set", "ca_file=~/ca.pem"];
    const ca_file = join(homedir(), "ca.pem");
    expect((await keeping([...ftp, "--stdin", "password"], "p")).given[0]?.settings).toEqual({
      host: "h",
      ca_file,
    });
  });

  test.each([
    [["remote", "add", "n", "sftp://me:hunter2@h/"], ""],
    [["remote", "add", "n", "hunter2"], ""],
    [["remote", "add", "n", "--type", "sftp", "--set", "host=h", "--set", "password=hunter2"], ""],
    [["remote", "add", "n", "ftp", "--set", "port=hunter2"], ""],
    [["remote", "add", "n", "https://h/x?token=hunter2"], ""],
    [["remote", "add", "n", "sftp://h", "--stdin"], "hunter2\n"],
    [["credentials", "add", "n", "--stdin", "password"], ""],
    [["remote", "add", "n", "https://h", "--stdin", "token"], "Token of hunter2:\nhunter2\n"],
    [["credentials", "add", "n"], ""],
    [["credentials", "rotate", "n", "--secret-file", "password"], ""],
  ])("never by the command line, and no refusal repeats them: %j", async (args, stdin) => {
    const { code, given, stdout, stderr } = await keeping(args, stdin);
    expect([code, given]).toEqual([2, []]);
    expect(stdout + stderr).not.toContain("hunter2");
  });
});

test("a setting without a kind is refused, and not passed over", async () => {
  const { code, stderr } = await cli(["remote", "add", "n", "--set", "host=h"]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/^pb: --set: settings of which kind/)]);
});

describe("secrets do not go out", () => {
  test.each([
    ["credentials", "list"],
    ["credentials", "list", "--json"],
    ["credentials", "show", "nas"],
    ["credentials", "show", "nas", "-o", "yaml"],
    ["credentials", "rotate", "nas", "--stdin", "password"],
    ["credentials", "remove", "nas", "--json"],
  ])("by %j %j", async (...args) => {
    const { code, stdout, stderr } = await cli(args, { stdin: "hunter2" });
    expect(code).toBe(0);
    expect(stdout + stderr).not.toContain("hunter2");
  });

  test("by --reveal, where standard output is no terminal", async () => {
    const { code, stdout, stderr } = await cli(["credentials", "show", "nas", "--reveal"], { columns: 80 });
    expect(code).toBe(2);
    expect(stdout + stderr).not.toContain("hunter2");
  });
});

describe("what a remote is", () => {
  test.each([
    ["sftp", { kind: "sftp", settings: {} }],
    ["sftp://h", { kind: "sftp", settings: { host: "h" } }],
    ["ftps://u@h/x", { kind: "ftp", settings: { host: "h", user: "u", tls: "implicit", path: "/x" } }],
    ["https://h:8443/a b/", { kind: "http", settings: { url: "https://h:8443/a%20b/" } }],
    ["davs://u@h/dav", { kind: "webdav", settings: { url: "https://h/dav", user: "u" } }],
    ["s3://b/p/q", { kind: "s3", settings: { bucket: "b", path: "p/q" } }],
    ["pb://h:7373", { kind: "pb", settings: { address: "h:7373" } }],
    ["pb1:xyz", undefined],
  ])("is read from %s", (word, wish) => expect(parseTarget(word)).toEqual(wish));
});

test("a token is all that standard output has", async () => {
  const args = ["credentials", "token", "--subject", "ci", "--scope", "pb:read:*"];
  expect((await cli(args)).stdout).toBe("a.b.c\n");
});

test("an export says which remotes are not in it", async () => {
  const { stdout, stderr } = await cli(["credentials", "export", "-"]);
  expect(stdout).toBe("sealed");
  expect(stderr).toMatch(/^Left out box: .*invite\n$/);
});
