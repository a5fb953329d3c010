/** `pb remote add` asks on a terminal: each kind by a person's keys, wrong answers, and leaving in the middle. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mustPass, type Pair, pb, startPair } from "./harness.ts";
import { PB } from "./lib/process.ts";
import { CTRL_C, CTRL_D, DOWN, ENTER, hasPty, onPty } from "./lib/pty.ts";
import { foundIn } from "./lib/secret-watch.ts";

const typed = (text = "") => `${text}${ENTER}`;
const SECRET = "typed, and seen by nobody";

describe.skipIf(!hasPty())(`on a terminal${hasPty() ? "" : " (SKIPPED: script is not installed)"}`, () => {
  let pair: Pair;
  let home: string;
  const add = (args: string) =>
    onPty(`'${PB}' remote add ${args}`, { cwd: pair.scratch.path, env: { PB_HOME: home, HOME: home } });
  const tables = () => readFileSync(`${home}/remotes.toml`, "utf8");
  const secretsOf = async (name: string) => {
    const args = ["credentials", "show", name, "--json"];
    return mustPass(args, await pb(args, { home })).stdout;
  };

  beforeAll(async () => {
    pair = await startPair();
    home = pair.scratch.at("fresh");
    await mkdir(home, { mode: 0o700 });
    await writeFile(
      pair.scratch.at("id"),
      "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n",
    );
  });
  afterAll(() => pair?.[Symbol.asyncDispose]());

  test("Ctrl-D at any question: 130, and nothing is stored", async () => {
    for (const [args, question] of [
      ["nas", "What kind of place"],
      ["nas sftp", "host name"],
    ] as const) {
      const wizard = add(args);
      await wizard.answer(question, CTRL_D);
      expect([args, await wizard.end()]).toEqual([args, 130]);
      expect(wizard.shown()).toContain("nothing was added");
    }
    const show = onPty(`'${PB}' credentials lock`, { env: { PB_HOME: home, HOME: home } });
    await show.answer("New passphrase", CTRL_D);
    expect(await show.end()).toBe(130);
    expect(show.shown()).toContain("nothing was changed");
  });

  test("Ctrl-C at any question: 130, and nothing is stored", async () => {
    const first = add("nas");
    await first.answer("What kind of place", CTRL_C);
    expect(await first.end()).toBe(130);
    expect(first.shown()).toContain("nothing was added");
    const last = add("nas sftp");
    await last.answer("host name", typed("h"));
    await last.answer("port:", typed());
    await last.answer("user name", typed());
    await last.answer("path:", typed());
    await last.answer("key_file:", typed());
    await last.answer("host_key:", typed());
    await last.answer("most do without", ENTER);
    await last.answer("password", typed(SECRET));
    await last.answer("private key", CTRL_C);
    expect(await last.end()).toBe(130);
    expect(readdirSync(home).filter((name) => /remotes|credentials|identity/.test(name))).toEqual([]);
  });

  test("sftp: what can't be is asked again, and a secret is not shown", async () => {
    const wizard = add("nas");
    await wizard.answer("What kind of place", `${DOWN}${ENTER}`);
    await wizard.answer("host name", ENTER);
    await wizard.answer("this is needed", typed("nas.example"));
    await wizard.answer("port:", typed("99999"));
    // Five characters to take back.
    await wizard.answer("1 to 65535", typed(`${"\x7f".repeat(5)}2222`));
    await wizard.answer("user name", typed("me"));
    await wizard.answer("path:", typed("/srv"));
    await wizard.answer("key_file:", typed());
    await wizard.answer("host_key:", typed("accept-new"));
    await wizard.answer("most do without", ENTER);
    await wizard.answer("password", typed(SECRET));
    await wizard.answer("private key", typed("nowhere"));
    await wizard.answer("cannot be read", typed(`${"\x7f".repeat(7)}id`));
    await wizard.answer("passphrase", typed());
    expect([await wizard.end(), wizard.shown()]).toEqual([0, expect.stringContaining("Added nas: sftp")]);
    expect(foundIn(wizard.shown(), [SECRET])).toEqual([]);
    const expected = ["nas", 'type = "sftp"', 'host = "nas.example"', "port = 2222", 'user = "me"'];
    for (const line of [...expected, 'path = "/srv"', 'host_key = "accept-new"'])
      expect(tables()).toContain(line);
    expect(tables()).not.toMatch(/agent|known_hosts/);
    expect(await secretsOf("nas")).toMatch(/password.*private_key|private_key.*password/s);
    // A name that is taken is refused before anything is asked.
    const again = add("nas");
    expect(await again.end()).not.toBe(0);
    expect(again.shown()).not.toContain("What kind");
  });

  test("s3: only what was said is stored", async () => {
    const wizard = add("store s3");
    await wizard.answer("endpoint:", typed("s3.example"));
    await wizard.answer("a URL it must be", typed(`${"\x7f".repeat(10)}http://127.0.0.1:9`));
    await wizard.answer("region;", typed());
    await wizard.answer("bucket that", typed("b"));
    await wizard.answer("path:", typed());
    await wizard.answer("most do without", `y`);
    await wizard.answer("path_style:", ENTER);
    await wizard.answer("profile of", typed());
    await wizard.answer("anonymous:", ENTER);
    await wizard.answer("storage_class:", typed("STANDARD"));
    await wizard.answer("listed_times:", "y");
    await wizard.answer("ca_file:", typed());
    await wizard.answer("access key id", typed("AK"));
    await wizard.answer("secret access key", typed(SECRET));
    await wizard.answer("session token", typed());
    expect([await wizard.end(), wizard.shown()]).toEqual([0, expect.stringContaining("Added store: s3")]);
    const [, table = ""] = tables().split("[store]");
    expect(table.trim().split("\n").toSorted()).toEqual([
      'bucket = "b"',
      'endpoint = "http://127.0.0.1:9"',
      "listed_times = true",
      'storage_class = "STANDARD"',
      'type = "s3"',
    ]);
    expect(await secretsOf("store")).toContain("secret_access_key");
  });

  test.each(["ftp", "http", "webdav"])("%s", async (kind) => {
    const wizard = add(`a-${kind} ${kind}`);
    if (kind === "ftp") {
      await wizard.answer("host name", typed("h"));
      await wizard.answer("port:", typed());
    } else await wizard.answer("url:", typed("https://h/dav"));
    await wizard.answer("user name", typed("me"));
    if (kind === "ftp") {
      await wizard.answer("path:", typed());
      await wizard.answer("tls:", `${DOWN}${ENTER}`);
    }
    if (kind === "webdav") await wizard.answer("keeps_times:", "y");
    await wizard.answer("most do without", ENTER);
    await wizard.answer("password", typed(SECRET));
    if (kind !== "ftp") await wizard.answer("token", typed());
    expect([await wizard.end(), wizard.shown()]).toEqual([
      0,
      expect.stringContaining(`Added a-${kind}: ${kind}`),
    ]);
    const [, table] = tables().split(`[a-${kind}]`);
    const own = { ftp: 'tls = "implicit"', http: 'url = "https://h/dav"', webdav: "keeps_times = true" }[
      kind
    ];
    expect(table).toContain(own);
  });

  test("a Packetboat server, by its invite", async () => {
    const invite = await pair.invite();
    const wizard = add("box");
    await wizard.answer("What kind of place", ENTER);
    await wizard.answer("Invite", typed("pb2:x"));
    await wizard.answer("begins with pb1:", typed(`${"\x7f".repeat(5)}${invite}`));
    expect([await wizard.end(), wizard.shown()]).toEqual([0, expect.stringContaining("Added box:")]);
    expect(wizard.shown()).not.toContain(invite.slice(0, 40));
    expect(existsSync(`${home}/remotes/box.pem`)).toBe(true);
  });
});
