import { describe } from "vitest";
import { available, type NginxOptions, startNginx } from "../../../test/servers/nginx.ts";
import { type EndpointConfig, Secret } from "../../model/endpoint.ts";
import { chunkSuite } from "../conformance/chunks.ts";
import { type Fixture, folderPlace } from "../conformance/fixture.ts";
import { backendSuite } from "../conformance/suite.ts";
import { openHttp } from "./backend.ts";

const tools = { name: "web", home: "/nonexistent", env: {} };
const account = { name: "sailor", password: "only for this test" };

function config(url: string): EndpointConfig {
  return {
    kind: "http",
    settings: { url, user: account.name },
    secret: async (name) => (name === "password" ? new Secret(account.password) : undefined),
  };
}

const fixture = (options: NginxOptions) => async (): Promise<Fixture> => {
  const place = await folderPlace();
  const server = await startNginx({ user: account, root: place.root, ...options });
  const backend = await openHttp(config(server.url), tools);
  return {
    backend,
    place,
    async [Symbol.asyncDispose]() {
      await backend.close();
      await place[Symbol.asyncDispose]();
      await server.stop();
    },
  };
};

const TRAITS = {
  links: false,
  permissions: false,
  names: "bytes",
  changes: false,
  requestPerEntry: true,
  // Its indexes leave out names that begin with a dot.
  without: ["three dots", "backslashes"],
} as const;

const why = available({ dav: true });

describe.skipIf(why !== undefined)(`HTTP${why ? ` (SKIPPED: ${why})` : ""}`, () => {
  backendSuite("http (nginx)", fixture({}), TRAITS);
  backendSuite("http (nginx, indexes in JSON)", fixture({ directives: ["autoindex_format json;"] }), TRAITS);
  // Its ETags are of the time in seconds and the size.
  const traits = { tellsVersions: false };
  chunkSuite("http (nginx)", fixture({ dav: true, makeParents: true }), traits);
  chunkSuite("http (nginx without ranges)", fixture({ directives: ["max_ranges 0;"] }), {
    ...traits,
    writes: false,
  });
});
