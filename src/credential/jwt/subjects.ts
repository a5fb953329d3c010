/** Those who came with a token: `STATE/tokens/ID.json` says who has this id, so that what is kept of their jobs can be told from a stranger's. */

import { join } from "node:path";
import { PbError } from "../../model/error.ts";
import type { Caller } from "../../model/identity.ts";
import { ensurePrivateFolder, readSecret, replaceFile } from "../files.ts";
import { tokensFolder } from "./signing.ts";

export interface Subjects {
  /** Written when it is new or its access has changed. */
  note(caller: Caller): Promise<void>;
  /** As it came last, without a grant. */
  get(id: string): Promise<Caller | undefined>;
}

const ID = /^[a-z2-7]{16}$/;

export function openSubjects(state: string): Subjects {
  const noted = new Map<string, string>();
  const file = (id: string) => join(tokensFolder(state), `${id}.json`);
  return {
    async note({ grant: _, ...caller }) {
      const text = JSON.stringify(caller);
      if (noted.get(caller.clientId) === text) return;
      await ensurePrivateFolder(tokensFolder(state));
      await replaceFile(file(caller.clientId), `${text}\n`);
      noted.set(caller.clientId, text);
    },
    async get(id) {
      if (!ID.test(id)) return undefined;
      try {
        const caller = JSON.parse(await readSecret(file(id))) as Partial<Caller>;
        const whole = caller.clientId === id && Array.isArray(caller.roots);
        return whole ? (caller as Caller) : undefined;
      } catch (error) {
        if (error instanceof SyntaxError) return undefined;
        if (error instanceof PbError && error.code === "not_found") return undefined;
        throw error;
      }
    },
  };
}
