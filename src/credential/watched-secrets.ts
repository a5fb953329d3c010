/** The secrets of one credential for who uses them for long: who watches hears that they were rotated, or taken away. */

import type { EndpointConfig, Secret, SecretsWatcher } from "../model/endpoint.ts";
import { PbError } from "../model/error.ts";
import type { Credential } from "./vault/credential.ts";

/** Less than half of the second in which a rotation takes effect on what is open. */
const LOOK_INTERVAL_MS = 400;

export type WatchedSecrets = Pick<EndpointConfig, "secret"> & Required<Pick<EndpointConfig, "watch">>;

/** @param find the credential as the store has it now */
export function watchedSecrets(find: () => Promise<Credential | undefined>): WatchedSecrets {
  const watchers = new Set<SecretsWatcher>();
  /** As they were given out last; what nobody has asked for is nobody's to miss. */
  const given = new Map<string, Secret>();
  let name = "";
  let withdrawn: PbError | undefined;
  let timer: NodeJS.Timeout | undefined;
  /** Looks by their numbers: the last one that was begun, and the last one that counted. */
  let begun = 0;
  let counted = 0;

  /** The credential, once everybody has heard what is new about it. */
  async function look(): Promise<Credential | undefined> {
    begun += 1;
    const number = begun;
    const found = await find();
    // What a later look has found is newer.
    if (number < counted) return look();
    counted = number;
    if (found !== undefined && found.secrets.size > 0) {
      name = found.name;
      withdrawn = undefined;
      compare(found);
    } else if (given.size > 0 && withdrawn === undefined) {
      withdrawn = gone(name);
      for (const each of [...watchers]) each.withdrawn?.(withdrawn);
    }
    return found;
  }

  function compare({ secrets }: Credential): void {
    let changed = false;
    for (const [wanted, last] of given) {
      const now = secrets.get(wanted);
      if (now?.reveal() === last.reveal()) continue;
      changed = true;
      if (now === undefined) given.delete(wanted);
      else given.set(wanted, now);
    }
    if (changed) for (const each of [...watchers]) each.rotated?.();
  }

  function lookAgain(): void {
    // A locked store asks for its passphrase: not for what nobody uses.
    if (given.size === 0) return;
    // One that can't be read at the moment says nothing about what is in it; the next request tells.
    look().catch(() => undefined);
  }

  return {
    async secret(wanted): Promise<Secret | undefined> {
      const secret = (await look())?.secrets.get(wanted);
      if (withdrawn !== undefined) throw withdrawn;
      if (secret !== undefined) given.set(wanted, secret);
      return secret;
    },
    watch(watcher) {
      watchers.add(watcher);
      if (withdrawn !== undefined) watcher.withdrawn?.(withdrawn);
      timer ??= setInterval(lookAgain, LOOK_INTERVAL_MS).unref();
      return () => {
        watchers.delete(watcher);
        if (watchers.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };
}

function gone(name: string): PbError {
  const what = `the credential ${name} was removed while it was in use`;
  return new PbError("unauthenticated", `${what} (pb credentials add ${name} gives it again)`);
}
