import { expect, it } from "vitest";
import type { FtpConnection } from "./connection.ts";
import { createPool } from "./pool.ts";

const { signal } = new AbortController();

interface Fake {
  readonly login: number;
  closed: boolean;
}

/** Connections that remember by which login they were made. */
function ground() {
  const state = { login: 1, made: [] as Fake[], beforeConnected: async () => {} };
  const login = async () => {
    const fake: Fake = { login: state.login, closed: false };
    await state.beforeConnected();
    state.made.push(fake);
    return {
      control: { closed: false, pending: 0 },
      close: () => {
        fake.closed = true;
      },
    } as unknown as FtpConnection;
  };
  return { state, pool: createPool({ login, max: 3 }) };
}

const shown = (made: readonly Fake[]) =>
  made.map(({ login, closed }) => `${login}${closed ? " closed" : ""}`);

it("after a rotation logs in anew; what was in use, idle or parked is used no more", async () => {
  const { state, pool } = ground();
  const [used, idle, parked] = [
    await pool.lease(signal),
    await pool.lease(signal),
    await pool.lease(signal),
  ] as const;
  idle.release();
  parked.park(async () => parked.release());
  state.login = 2;
  pool.renew();
  expect(shown(state.made)).toEqual(["1", "1 closed", "1 closed"]);
  expect(parked.unpark()).toBe(false);
  used.release();
  expect(shown(state.made)).toEqual(["1 closed", "1 closed", "1 closed"]);
  (await pool.lease(signal)).release();
  expect(shown(state.made).slice(3)).toEqual(["2"]);
  pool.close();
});

it("gives out none that was logging in when the secret was replaced", async () => {
  const { state, pool } = ground();
  state.beforeConnected = async () => {
    state.beforeConnected = async () => {};
    state.login = 2;
    pool.renew();
  };
  await pool.lease(signal);
  expect(shown(state.made)).toEqual(["1 closed", "2"]);
  pool.close();
});
