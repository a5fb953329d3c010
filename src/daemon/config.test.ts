import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { removeFolders, testFolder } from "../../test/support/server.ts";
import { resolveServe } from "./config.ts";
import { parseRoots } from "./roots.ts";

afterAll(removeFolders);

async function configFile(text: string): Promise<string> {
  const file = join(await testFolder(), "pb.toml");
  await writeFile(file, text);
  return file;
}

const defaultState = "/state";
const invalid = (file: string, about: string) =>
  expect.objectContaining({
    code: "invalid_argument",
    path: file,
    message: expect.stringContaining(about),
  });

describe("a server's settings", () => {
  it("have defaults", async () => {
    expect(await resolveServe({ options: { roots: [] }, env: {}, defaultState })).toEqual({
      roots: [],
      listen: undefined,
      advertise: [],
      state: "/state",
      logLevel: "info",
      logFile: undefined,
      drainSeconds: 30,
      keepSeconds: 2_592_000,
      jwtIssuers: [],
      jwtAudiences: [],
      jwtRefreshSeconds: 300,
    });
  });

  it("come from the flag, else the environment, else the file", async () => {
    const config = await configFile(
      'root = "c"\nlisten = "c:1"\nadvertise = ["c:1"]\nstate = "/c"\nlog_level = "warn"\nlog_file = "/c"\ndrain_seconds = 3\nkeep_history_seconds = 33\njwt_issuers = ["c.pem", "https://c"]\njwt_audiences = ["c"]\njwt_refresh_seconds = 333\n[roots]\nmore = "/m"\n',
    );
    const env = {
      PB_ROOTS: "/e,x=/x",
      PB_LISTEN: "e:1",
      PB_ADVERTISE: "e:1",
      PB_STATE: "/e",
      PB_LOG_LEVEL: "error",
      PB_LOG_FILE: "/e",
      PB_DRAIN: "2",
      PB_KEEP_HISTORY: "22",
      PB_JWT_ISSUER: "https://e,/e.pem",
      PB_JWT_AUDIENCE: "e",
      PB_JWT_REFRESH: "222",
    };
    const flags = {
      roots: ["/f"],
      listen: "f:1",
      advertise: ["f:1"],
      state: "/f",
      logLevel: "debug",
      logFile: "/f",
      drainSeconds: 1,
      keepSeconds: 11,
      jwtIssuers: ["/f.pem"],
      jwtAudiences: ["f"],
      jwtRefreshSeconds: 111,
    };
    const fromFlags = { ...flags, roots: ["/f"] };
    expect(await resolveServe({ options: { ...flags, config }, env, defaultState })).toEqual(fromFlags);
    expect(await resolveServe({ options: { roots: [], config }, env, defaultState })).toEqual({
      roots: ["/e", "x=/x"],
      listen: "e:1",
      advertise: ["e:1"],
      state: "/e",
      logLevel: "error",
      logFile: "/e",
      drainSeconds: 2,
      keepSeconds: 22,
      jwtIssuers: ["https://e", "/e.pem"],
      jwtAudiences: ["e"],
      jwtRefreshSeconds: 222,
    });
    // What the file names relatively is beside it.
    expect(await resolveServe({ options: { roots: [], config }, env: {}, defaultState })).toEqual({
      roots: [join(config, "../c"), "more=/m"],
      listen: "c:1",
      advertise: ["c:1"],
      state: "/c",
      logLevel: "warn",
      logFile: "/c",
      drainSeconds: 3,
      keepSeconds: 33,
      jwtIssuers: [join(config, "../c.pem"), "https://c"],
      jwtAudiences: ["c"],
      jwtRefreshSeconds: 333,
    });
    const byEnvironment = await resolveServe({
      options: { roots: [] },
      env: { PB_CONFIG: config },
      defaultState,
    });
    expect(byEnvironment.listen).toBe("c:1");
  });

  it.each([
    ["listn = 'x'", "listn"],
    ["drain_seconds = 'long'", "drain_seconds"],
    ["log_level = 'loud'", "log_level"],
    ["roots = ['a']", "roots"],
    ["listen = ", "TOML"],
  ])("name the file and the key that is wrong: %s", async (text, about) => {
    const config = await configFile(text);
    const resolved = resolveServe({ options: { roots: [], config }, env: {}, defaultState });
    await expect(resolved).rejects.toThrow(invalid(config, about));
  });

  it.each([0, 86_401, Number.NaN])("refuse to ask for keys after %d s", async (jwtRefreshSeconds) => {
    const resolved = resolveServe({ options: { roots: [], jwtRefreshSeconds }, env: {}, defaultState });
    await expect(resolved).rejects.toThrow(
      expect.objectContaining({ code: "invalid_argument", peer: "--jwt-refresh" }),
    );
  });

  it.each([{ drainSeconds: 86_401 }, { config: "drain_seconds = 1e9" }])(
    "refuse to drain for more than a day: %j",
    async ({ config, ...rest }: { readonly config?: string; readonly drainSeconds?: number }) => {
      const file = config === undefined ? {} : { config: await configFile(config) };
      const resolved = resolveServe({ options: { roots: [], ...rest, ...file }, env: {}, defaultState });
      await expect(resolved).rejects.toThrow(
        expect.objectContaining({ code: "invalid_argument", peer: "--drain" }),
      );
    },
  );

  it("name a file that is not there", async () => {
    const config = join(await testFolder(), "none.toml");
    const resolved = resolveServe({ options: { roots: [], config }, env: {}, defaultState });
    await expect(resolved).rejects.toThrow(expect.objectContaining({ code: "not_found", path: config }));
    await mkdir(config);
    const folder = resolveServe({ options: { roots: [], config }, env: {}, defaultState });
    await expect(folder).rejects.toThrow(expect.objectContaining({ code: "is_a_directory", path: config }));
  });
});

describe("--root", () => {
  it("is a folder, or a name and a folder", () => {
    expect(parseRoots(["/a", "b=/b", "c=d=e"], "/w")).toEqual([
      { name: "", directory: "/a" },
      { name: "b", directory: "/b" },
      { name: "c", directory: "/w/d=e" },
    ]);
    expect(parseRoots(["./f=g"], "/w")).toEqual([{ name: "", directory: "/w/f=g" }]);
  });

  it.each([[[]], [["/a", "/b"]], [["a=/a", "a=/b"]], [[""]]])("is refused: %j", (texts) => {
    expect(() => parseRoots(texts)).toThrow(expect.objectContaining({ code: "usage" }));
  });
});
