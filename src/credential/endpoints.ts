/** Configurations of endpoints for the backends: of a configured remote, of a URL, of the machine's own S3 keys. */

import type { EndpointConfig } from "../model/endpoint.ts";
import { endpointOfUrl, isUrlRemote } from "../model/endpoint-url.ts";
import { PbError } from "../model/error.ts";
import type { RemoteStore } from "./remotes.ts";

/** Implements `EndpointConfigs` of backend/registry.ts. */
export function openEndpoints(remotes: RemoteStore): { get(remote: string): Promise<EndpointConfig> } {
  const withoutSecrets = { secret: async () => undefined };
  return {
    async get(remote) {
      if (isUrlRemote(remote)) return { ...endpointOfUrl(remote), ...withoutSecrets };
      try {
        await remotes.get(remote);
      } catch (error) {
        // Buckets are reached by the keys in the environment or ~/.aws without a remote, as with any other S3 client.
        const isBare = remote === "s3" && PbError.from(error).code === "unknown_remote";
        if (isBare) return { kind: "s3", settings: {}, ...withoutSecrets };
        throw error;
      }
      return { kind: "pb", settings: {}, ...withoutSecrets };
    },
  };
}
