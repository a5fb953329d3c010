import type { NativeAccess, SessionPeer } from "../../backend/backend.ts";
import { PbError } from "../../model/error.ts";
import type { Endpoint } from "../request.ts";

/** @throws PbError `unsupported` when there is no engine at the endpoint */
export function peerOf(endpoint: Endpoint): SessionPeer {
  const { native, name } = endpoint.backend;
  if (native.kind === "session") return native.peer;
  throw new PbError("unsupported", `${endpoint.label} has no engine of its own`, { peer: name });
}

/** Descriptors in this process, an engine elsewhere, or none there. */
export function kindOf(endpoint: Endpoint): NativeAccess["kind"] {
  return endpoint.backend.native.kind;
}
