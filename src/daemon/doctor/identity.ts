import { expiresAt, fingerprintOf, parseCertificate } from "../../credential/certificate.ts";
import type { Remote, RemoteStore } from "../../credential/remotes.ts";
import { PbError } from "../../model/error.ts";
import { fail, type LocalCheck, ok, skipped, warn } from "./check.ts";

const DAY_MS = 86_400_000;
/** Renewal begins 30 days before the end; less means that it did not succeed. */
const LOW_DAYS = 25;

/** The certificates of this client's remotes: readable by nobody else, of the pinned authority, not at their end. */
export function identity(store: RemoteStore): LocalCheck {
  return {
    name: "identity",
    async run() {
      // A token ends by itself, and is its issuer's to renew.
      const remotes = (await store.list()).filter(({ byToken }) => !byToken);
      if (remotes.length === 0) return skipped("no certificates yet: pb remote add NAME INVITE");
      const days = await Promise.all(remotes.map((remote) => daysLeft(store, remote)));
      const least = Math.min(...days);
      const name = remotes[days.indexOf(least)]?.name ?? "";
      const detail = `${remotes.length} remote(s); the first certificate to end is ${name}'s, in ${Math.floor(least)} days`;
      if (least <= 0) return fail(detail, `ask for an invite, then: pb remote add --replace ${name} INVITE`);
      if (least < LOW_DAYS) return warn(detail, `any call renews it: pb ls ${name}:/`);
      return ok(detail);
    },
  };
}

async function daysLeft(store: RemoteStore, remote: Remote): Promise<number> {
  const keys = await store.keys(remote);
  if (fingerprintOf(parseCertificate(keys.ca)) !== remote.fingerprint) {
    throw new PbError("fingerprint_mismatch", `the kept authority of ${remote.name} is not the pinned one`, {
      peer: remote.name,
      hint: `ask for an invite, then: pb remote add --replace ${remote.name} INVITE`,
    });
  }
  return (expiresAt(parseCertificate(keys.certificate)).getTime() - Date.now()) / DAY_MS;
}
