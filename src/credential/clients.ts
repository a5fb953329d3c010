/**
 * The clients of a server, one file each: `STATE/clients/ID.json` is written once, at enrolment; `ID.revoked` ends it, from
 * whatever process, and nothing rewrites either. `ID.crt` is the newest certificate; the time of `ID.seen` is the last call.
 */

import { randomBytes } from "node:crypto";
import { lstatSync } from "node:fs";
import { readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../model/errno.ts";
import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import { expiresAt, parseCertificate } from "./certificate.ts";
import { createFile, ensurePrivateFolder, fileError, readSecret, replaceFile } from "./files.ts";

export interface ClientRecord extends Caller {
  readonly enrolledAt: string;
}

export interface ClientStatus extends ClientRecord {
  readonly revoked: boolean;
  /** "" when it has not called yet. */
  readonly lastSeenAt: string;
  /** Of its newest certificate; "" when none was issued. */
  readonly expiresAt: string;
}

export interface ClientStore {
  /** Returns the new client's id. */
  create(client: Omit<ClientRecord, "clientId" | "enrolledAt">): Promise<ClientRecord>;
  /** Undefined when no such client has enrolled. */
  get(id: string): Promise<ClientRecord | undefined>;
  /** One system call, for the gate: asked at every call and never remembered. */
  isRevoked(id: string): boolean;
  /** Sorted by the time of enrolment. */
  list(): Promise<ClientStatus[]>;
  /** Idempotent. @throws PbError `not_found` */
  revoke(id: string): Promise<ClientStatus>;
  /** Keeps the certificate (PEM) that was issued, for the owner to see. */
  setCertificate(id: string, pem: string): Promise<void>;
  /** Notes that the client has called. */
  seen(id: string): Promise<void>;
}

const ID = /^[a-z2-7]{16}$/;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** 80 random bits in base32: short enough to type, and never met twice. */
function newId(): string {
  return Array.from(randomBytes(16), (byte) => ALPHABET[byte & 31]).join("");
}

export function openClients(state: string): ClientStore {
  const folder = join(state, "clients");
  const file = (id: string, end: "json" | "revoked" | "seen" | "crt") => join(folder, `${id}.${end}`);

  async function status(record: ClientRecord): Promise<ClientStatus> {
    const seen = await stat(file(record.clientId, "seen")).catch(() => undefined);
    const pem = await readSecret(file(record.clientId, "crt")).catch(() => undefined);
    return {
      ...record,
      revoked: store.isRevoked(record.clientId),
      lastSeenAt: seen ? seen.mtime.toISOString() : "",
      expiresAt: pem ? expiresAt(parseCertificate(pem)).toISOString() : "",
    };
  }

  const store: ClientStore = {
    async create(client) {
      await ensurePrivateFolder(folder);
      const record = { clientId: newId(), ...client, enrolledAt: new Date().toISOString() };
      if (await createFile(file(record.clientId, "json"), `${JSON.stringify(record)}\n`)) return record;
      return store.create(client);
    },

    async get(id) {
      if (!ID.test(id)) return undefined;
      try {
        return readRecord(await readSecret(file(id, "json")), file(id, "json"));
      } catch (error) {
        if (error instanceof PbError && error.code === "not_found") return undefined;
        throw error;
      }
    },

    isRevoked(id) {
      if (!ID.test(id)) return true;
      try {
        lstatSync(file(id, "revoked"));
        return true;
      } catch (cause) {
        // What cannot be looked at counts as revoked.
        return errnoOf(cause) !== "ENOENT";
      }
    },

    async list() {
      const names = await readdir(folder).catch(() => []);
      const ids = names
        .filter((name) => name.endsWith(".json"))
        .map((name) => name.slice(0, -".json".length));
      const records = await Promise.all(ids.map((id) => store.get(id)));
      const all = await Promise.all(records.flatMap((record) => (record ? [status(record)] : [])));
      return all.sort((a, b) => (a.enrolledAt < b.enrolledAt ? -1 : 1));
    },

    async revoke(id) {
      const record = await store.get(id);
      if (!record) {
        throw new PbError("not_found", `no client has the id ${id}`, { hint: "pb clients list shows them" });
      }
      await createFile(file(id, "revoked"), `${new Date().toISOString()}\n`);
      return status(record);
    },

    setCertificate: (id, pem) => replaceFile(file(id, "crt"), pem),

    async seen(id) {
      const now = new Date();
      await utimes(file(id, "seen"), now, now).catch(() => writeFile(file(id, "seen"), "", { mode: 0o600 }));
    },
  };
  return store;
}

function readRecord(text: string, file: string): ClientRecord {
  const { clientId, name, readOnly, path, enrolledAt } = JSON.parse(text) as Partial<ClientRecord>;
  const whole =
    typeof clientId === "string" &&
    typeof name === "string" &&
    typeof readOnly === "boolean" &&
    typeof path === "string" &&
    typeof enrolledAt === "string";
  if (whole) return { clientId, name, readOnly, path, enrolledAt };
  throw fileError(new Error("not a client's record"), file);
}
