import { expect, it } from "vitest";
import type { PbError } from "../../model/error.ts";
import type { SftpConnection } from "./connect.ts";
import { createPool } from "./pool.ts";

const { signal } = new AbortController();

interface Fake {
  readonly login: number;
  load: number;
  ended: PbError | undefined;
}

/** Connections that remember by which login they were made. */
function ground() {
  const state = { login: 1, made: [] as Fake[], beforeConnected: async () => {} };
  const connect = async () => {
    const { login } = state;
    await state.beforeConnected();
    const fake: Fake = { login, load: 0, ended: undefined };
    state.made.push(fake);
    return {
      get load() {
        return fake.load;
      },
      get closed() {
        return fake.ended !== undefined;
      },
      fail: (reason: PbError) => {
        fake.ended ??= reason;
      },
    } as unknown as SftpConnection;
  };
  const pool = createPool({ connect, max: 4 });
  return { state, pool };
}

it("after a rotation uses no connection that was open", async () => {
  const { state, pool } = ground();
  const first = await pool.take(signal);
  expect(await pool.take(signal)).toBe(first);
  state.login = 2;
  pool.renew();
  await pool.take(signal);
  expect(state.made.map(({ login }) => login)).toEqual([1, 2]);
  expect(state.made[0]?.ended).toMatchObject({ code: "connection_lost", retryable: true });
  pool.close();
});

it("lets what is under way on one end, but not for long", async () => {
  const { state, pool } = ground();
  for (const ends of [true, false]) {
    await pool.take(signal);
    const last = state.made.at(-1) as Fake;
    last.load = 1;
    pool.renew();
    expect(last.ended).toBeUndefined();
    if (ends) last.load = 0;
    await expect.poll(() => last.ended?.code, { timeout: 2_000 }).toBe("connection_lost");
  }
  pool.close();
});

it("gives out none that was logging in when the secret was replaced", async () => {
  const { state, pool } = ground();
  state.beforeConnected = async () => {
    state.beforeConnected = async () => {};
    state.login = 2;
    pool.renew();
  };
  await pool.take(signal);
  expect(state.made.map(({ login, ended }) => [login, ended?.code])).toEqual([
    [1, "connection_lost"],
    [2, undefined],
  ]);
  pool.close();
});
