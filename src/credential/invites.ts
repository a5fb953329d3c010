/**
 * The invites of a server: `STATE/invites/HASH.json`, named by the SHA-256 of the token, which is not kept itself.
 * A use is a file `HASH.use-N` that can be created only once, so of any number of enrolments at once, in any number of
 * processes, as many win as the invite has uses.
 */

import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { PbError } from "../model/error.ts";
import { createFile, ensurePrivateFolder, fileError, readSecret } from "./files.ts";
import { newToken, tokenHash } from "./invite.ts";

export interface InviteGrant {
  readonly readOnly: boolean;
  /** `PathText`, "/" for all. */
  readonly path: string;
}

export interface InviteRecord extends InviteGrant {
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
  readonly uses: number;
}

/** An ended invite is kept this long, so that its holder learns why it fails. */
const KEEP_MS = 30 * 86_400_000;
const MAX_USES = 10_000;

export interface InviteStore {
  /** Returns the token. @throws PbError `invalid_argument` */
  create(record: InviteRecord): Promise<string>;
  /** Looks without using. @throws PbError `token_invalid`, `token_expired` */
  check(token: string): Promise<InviteRecord>;
  /** Takes one use. @throws PbError `token_invalid`, `token_expired`, `token_used` */
  use(token: string): Promise<InviteGrant>;
  /** Has any invite been made that is still known? */
  any(): Promise<boolean>;
  /** Forgets what ended long ago. */
  sweep(): Promise<void>;
}

export function openInvites(state: string, now: () => number = Date.now): InviteStore {
  const folder = join(state, "invites");
  const recordFile = (hash: string) => join(folder, `${hash}.json`);

  const store: InviteStore = {
    async create(record) {
      if (!Number.isInteger(record.uses) || record.uses < 1 || record.uses > MAX_USES) {
        throw new PbError("invalid_argument", `an invite has 1 to ${MAX_USES} uses, not ${record.uses}`);
      }
      if (!(record.expiresAtMs > now())) {
        throw new PbError("invalid_argument", "an invite must end in the future");
      }
      await ensurePrivateFolder(folder);
      const token = newToken();
      await createFile(recordFile(tokenHash(token)), `${JSON.stringify(record)}\n`);
      return token;
    },

    async check(token) {
      const record = await readRecord(recordFile(tokenHash(token)));
      if (record.expiresAtMs > now()) return record;
      throw new PbError(
        "token_expired",
        `the invite ended at ${new Date(record.expiresAtMs).toISOString()}`,
        hint,
      );
    },

    async use(token) {
      const { uses, readOnly, path } = await store.check(token);
      const hash = tokenHash(token);
      for (let use = 1; use <= uses; use += 1) {
        if (await createFile(join(folder, `${hash}.use-${use}`), `${new Date(now()).toISOString()}\n`)) {
          return { readOnly, path };
        }
      }
      throw new PbError("token_used", "the invite has been used up", hint);
    },

    any: async () => (await readdir(folder).catch(() => [])).some((name) => name.endsWith(".json")),

    async sweep() {
      const names = await readdir(folder).catch(() => []);
      for (const name of names.filter((each) => each.endsWith(".json"))) {
        const record = await readRecord(join(folder, name)).catch(() => undefined);
        if (!record || record.expiresAtMs + KEEP_MS > now()) continue;
        const hash = name.slice(0, -".json".length);
        await Promise.allSettled(
          names.filter((each) => each.startsWith(hash)).map((each) => unlink(join(folder, each))),
        );
      }
    },
  };
  return store;
}

const hint = { hint: "ask the server's owner for a new one: pb invite" };

async function readRecord(file: string): Promise<InviteRecord> {
  let text: string;
  try {
    text = await readSecret(file);
  } catch (error) {
    if (error instanceof PbError && error.code === "not_found") {
      throw new PbError("token_invalid", "this server has given no such invite", hint);
    }
    throw error;
  }
  const record = JSON.parse(text) as Partial<InviteRecord>;
  const { expiresAtMs, uses, readOnly, path } = record;
  if (typeof expiresAtMs === "number" && typeof uses === "number" && typeof path === "string") {
    return { expiresAtMs, uses, readOnly: readOnly !== false, path };
  }
  throw fileError(new Error("not an invite's record"), file);
}
