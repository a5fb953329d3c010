/** How a backend is told what it connects to, and how it gets what it proves itself with. Made by credential/, read by backend/. */

import type { PbError } from "./error.ts";

export const ENDPOINT_KINDS = ["sftp", "ftp", "http", "s3", "webdav", "pb", "local"] as const;
export type EndpointKind = (typeof ENDPOINT_KINDS)[number];

export type Setting = string | boolean | number;

/** Hears of what happens to secrets after they were given out, within half a second. */
export interface SecretsWatcher {
  /** They are others now: what was opened with the old ones is to be opened anew. */
  rotated?(): void;
  /** There are none any more, and asking for them is this error until there are. */
  withdrawn?(error: PbError): void;
}

/** Of a remote's name or of a URL. Names of settings and secrets: `endpoint-kinds.ts`. */
export interface EndpointConfig {
  readonly kind: EndpointKind;
  readonly settings: Readonly<Record<string, Setting>>;
  /**
   * Asked for when it is needed, never before, and not kept: the next call gives what the store holds then.
   *
   * @throws PbError `unauthenticated` when the store is locked and nobody gives the passphrase, or the credential was removed while in use
   */
  secret(name: string): Promise<Secret | undefined>;
  /** Until what it returns is called. Absent where secrets do not change. */
  watch?(watcher: SecretsWatcher): () => void;
}

const HIDDEN = "[secret]";
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** A text that shows itself to nobody but who calls `reveal()`: not in messages, JSON, logs, or a debugger's print. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Only where it goes out to the one endpoint that it is for. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [INSPECT](): string {
    return HIDDEN;
  }
}
