import type { NativeListener } from "../native/types.ts";
import type { KnownClient } from "./kept/keeper.ts";
import type { LiveClients } from "./live.ts";
import type { Places } from "./places.ts";

/** What a running server gives to the services that it offers. */
export interface ServerContext {
  readonly version: string;
  readonly places: Places;
  readonly listener: NativeListener;
  /** Data sessions are tracked here, so that a revoked client's end with its calls. */
  readonly live: LiveClients;
  /** The server's own folder. */
  readonly state: string;
  /** A client that has enrolled, whether or not it may still come. */
  readonly client: (id: string) => Promise<KnownClient | undefined>;
  /** How long what arrived of an unfinished job is kept, ms. */
  readonly keepMs: number;
}
