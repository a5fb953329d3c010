/** From a remote's configuration to a client of S3. Nothing is asked of the network here. */
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { EndpointConfig } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import type { EndpointTools } from "../registry.ts";
import { authoritiesOf, textSetting } from "../settings.ts";
import { createDirect, type Direct } from "./direct.ts";
import { guardReplies } from "./replies.ts";
import type { Keys } from "./sign.ts";

/** The most calls at once; the SDK's default of 50 would make its own queue. */
export const MAX_CALLS = 64;

const CONNECT_TIMEOUT_MS = 10_000;
/** A socket that says nothing for so long is dead; a copy within the server may take minutes before it answers. */
const IDLE_TIMEOUT_MS = 300_000;

/** @throws PbError `invalid_argument` naming the setting, or the file that cannot be read */
export async function openClient(
  config: EndpointConfig,
  { name: peer, openFetcher }: Pick<EndpointTools, "name" | "openFetcher">,
): Promise<{ readonly client: S3Client; readonly direct: Direct }> {
  const text = (name: string) => textSetting(config, name, peer);
  const flag = (name: string) => config.settings[name] === true;
  const endpoint = text("endpoint");
  if (endpoint !== undefined && !URL.canParse(endpoint))
    throw new PbError("invalid_argument", `endpoint is not a URL: ${endpoint}`, { peer });
  const sockets = { keepAlive: true, maxSockets: MAX_CALLS };
  const ca = await authoritiesOf(config, peer);
  const profile = text("profile");
  const own = flag("anonymous") ? undefined : await keys(config);
  // The SDK's switch for its word on which versions of Node it will want: for us who ship it, not for who copies a file.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  const client = new S3Client({
    region: text("region") ?? "us-east-1",
    // Only Amazon's names have a certificate for BUCKET.HOST as a matter of course.
    forcePathStyle: config.settings.path_style === undefined ? endpoint !== undefined : flag("path_style"),
    // Repeating is the caller's, who knows what else is under way (backend/wrap/retrying.ts).
    maxAttempts: 1,
    requestHandler: {
      httpAgent: sockets,
      httpsAgent: { ...sockets, ...(ca !== undefined && { ca }) },
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: IDLE_TIMEOUT_MS,
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(profile === undefined ? {} : { profile }),
    ...(flag("anonymous") ? UNSIGNED : own ? { credentials: own } : {}),
    // Where else to ask is the user's to say: a redirect would be followed with the keys.
    followRegionRedirects: false,
  });
  // Nobody hears its log, and it renders each request and each reply for it.
  client.middlewareStack.remove("loggerMiddleware");
  guardReplies(client);
  const direct = createDirect({
    client,
    peer,
    keys: flag("anonymous") ? async () => undefined : (own ?? (() => client.config.credentials())),
    ca,
    maxConnections: MAX_CALLS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    fetcher: openFetcher?.({
      connectMs: CONNECT_TIMEOUT_MS,
      headMs: IDLE_TIMEOUT_MS,
      bodyMs: IDLE_TIMEOUT_MS,
      idle: MAX_CALLS,
      authorities: ca,
    }),
  });
  return { client, direct };
}

/** As the SDK takes them. */
interface OwnKeys extends Keys {
  readonly expiration: Date;
}

/** Public buckets: what is sent is signed by nobody. */
const UNSIGNED: Pick<S3ClientConfig, "credentials" | "signer"> = {
  credentials: { accessKeyId: "", secretAccessKey: "" },
  signer: { sign: async (request) => request },
};

/**
 * Keys of the store, asked for at each request so that a rotation takes effect at once; without any the SDK's own chain (environment, profile,
 * web identity, the machine's role).
 */
async function keys(config: EndpointConfig): Promise<(() => Promise<OwnKeys>) | undefined> {
  if ((await config.secret("access_key_id")) === undefined) return undefined;
  return async () => {
    const [id, secret, token] = await Promise.all([
      config.secret("access_key_id"),
      config.secret("secret_access_key"),
      config.secret("session_token"),
    ]);
    return {
      accessKeyId: id?.reveal() ?? "",
      secretAccessKey: secret?.reveal() ?? "",
      ...(token === undefined ? {} : { sessionToken: token.reveal() }),
      // Over as soon as used: the SDK keeps what has no end.
      expiration: new Date(),
    };
  };
}
