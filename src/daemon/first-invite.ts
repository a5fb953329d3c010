import { unlink } from "node:fs/promises";
import { join } from "node:path";
import type { HostPort } from "../credential/address.ts";
import type { ClientStore } from "../credential/clients.ts";
import { readSecret, replaceFile } from "../credential/files.ts";
import { decodeInvite, encodeInvite } from "../credential/invite.ts";
import type { InviteStore } from "../credential/invites.ts";
import { inviteAddresses } from "./addresses.ts";

export interface FirstInviteOptions {
  readonly state: string;
  /** The authority was made by this start. */
  readonly isNew: boolean;
  readonly fingerprint: string;
  readonly advertise: readonly string[];
  readonly bound: HostPort;
  readonly clients: ClientStore;
  readonly invites: InviteStore;
}

/** A week to enrol the first client; more invites come from `pb invite`. */
const FIRST_INVITE_MS = 7 * 86_400_000;

/** The first start makes an invite; so does the next one after a start that was cut off before it had. */
export async function makeFirstInvite(options: FirstInviteOptions): Promise<string | undefined> {
  const { state, isNew, fingerprint, advertise, bound, clients, invites } = options;
  await invites.sweep();
  if (!isNew && ((await invites.any()) || (await clients.list()).length > 0)) return undefined;
  const expiresAtMs = Date.now() + FIRST_INVITE_MS;
  const token = await invites.create({ readOnly: false, path: "/", uses: 1, expiresAtMs });
  const line = encodeInvite({ addresses: inviteAddresses(advertise, bound), fingerprint, token });
  await replaceFile(join(state, "invite"), `${line}\n`);
  return line;
}

/** `STATE/invite` goes when it has been used: what lies about only misleads. */
export async function forgetInvite(state: string, token: string): Promise<void> {
  const file = join(state, "invite");
  const line = await readSecret(file).catch(() => "");
  if (line !== "" && decodeInvite(line).token === token) await unlink(file).catch(() => {});
}
