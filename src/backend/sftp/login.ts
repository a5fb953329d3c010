import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { AnyAuthMethod, ParsedKey } from "ssh2";
import ssh2 from "ssh2";
import type { EndpointConfig, Setting } from "../../model/endpoint.ts";
import { errnoOf } from "../../model/errno.ts";
import { PbError } from "../../model/error.ts";

export interface LoginOptions {
  readonly config: EndpointConfig;
  /** In errors. */
  readonly peer: string;
  /** The user's home folder, where `.ssh` is. */
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Login {
  readonly user: string;
  /** In the order in which they are tried; nothing of them is sent before the server's key is known. */
  readonly methods: readonly AnyAuthMethod[];
  /** For people: "key file ~/.ssh/id_ed25519, SSH agent, password". */
  readonly tried: string;
}

/** As ssh(1) tries them. */
const USUAL_KEYS = ["id_ed25519", "id_ecdsa", "id_rsa"];

interface Offer {
  readonly name: string;
  readonly method: AnyAuthMethod;
}

/** What this user can prove itself with. Secrets are asked for now and not kept. @throws PbError `unauthenticated`, `not_found` (key_file) */
export async function findLogin(options: LoginOptions): Promise<Login> {
  const { config, env } = options;
  const user = stringOf(config.settings.user) ?? userInfo().username;
  const keys = await ownKeys(options, user);
  const socket = env.SSH_AUTH_SOCK;
  const offers: Offer[] = [...keys];
  if (config.settings.agent !== false && socket !== undefined && socket !== "")
    offers.push({ name: "the SSH agent", method: { type: "agent", username: user, agent: socket } });
  if (keys.length === 0) offers.push(...(await usualKeys(options, user)));
  offers.push(...(await password(config, user)));
  return {
    user,
    methods: offers.map(({ method }) => method),
    tried: offers.map(({ name }) => name).join(", "),
  };
}

/** The key in the store, and the file that the remote names: what is wrong with them is an error. */
async function ownKeys({ config, peer, home }: LoginOptions, user: string): Promise<Offer[]> {
  const offers: Offer[] = [];
  const stored = await config.secret("private_key");
  if (stored !== undefined)
    offers.push(await keyOffer({ name: "the stored key", text: stored.reveal(), config, user, peer }));
  const file = stringOf(config.settings.key_file)?.replace(/^~(?=\/)/, home);
  if (file !== undefined) {
    const text = await readKey(file, peer);
    offers.push(await keyOffer({ name: `the key ${file}`, text, config, user, peer }));
  }
  return offers;
}

interface KeyText {
  readonly name: string;
  readonly text: string;
  readonly config: EndpointConfig;
  readonly user: string;
  readonly peer: string;
}

async function keyOffer({ name, text, config, user, peer }: KeyText): Promise<Offer> {
  const passphrase = (await config.secret("passphrase"))?.reveal();
  const key = parsed(text, passphrase);
  if (key !== undefined) return { name, method: { type: "publickey", username: user, key } };
  const without = passphrase === undefined;
  throw new PbError(
    "unauthenticated",
    without
      ? `${name} cannot be read: it is no private key, or needs a passphrase`
      : `${name} cannot be read with the stored passphrase`,
    { peer, hint: "store its passphrase with the remote, or load it into the SSH agent" },
  );
}

/** Those of ~/.ssh that need no passphrase: nobody has named them, so what cannot be used is passed over. */
async function usualKeys({ config, home }: LoginOptions, user: string): Promise<Offer[]> {
  const passphrase = (await config.secret("passphrase"))?.reveal();
  const offers: Offer[] = [];
  for (const name of USUAL_KEYS) {
    const file = join(home, ".ssh", name);
    const text = await readFile(file, "utf8").catch(() => "");
    const key = text === "" ? undefined : parsed(text, passphrase);
    if (key !== undefined)
      offers.push({ name: `the key ${file}`, method: { type: "publickey", username: user, key } });
  }
  return offers;
}

async function password(config: EndpointConfig, user: string): Promise<Offer[]> {
  const secret = await config.secret("password");
  if (secret === undefined) return [];
  const text = secret.reveal();
  return [
    { name: "the password", method: { type: "password", username: user, password: text } },
    {
      name: "the password (keyboard-interactive)",
      method: {
        type: "keyboard-interactive",
        username: user,
        // Only where one hidden answer is asked for: more questions are about something else.
        prompt: (_name, _instructions, _lang, prompts, finish) =>
          finish(prompts.length === 1 && prompts[0]?.echo === false ? [text] : []),
      },
    },
  ];
}

/** undefined: no private key, or not by this passphrase. */
function parsed(text: string, passphrase: string | undefined): ParsedKey | undefined {
  const result = ssh2.utils.parseKey(text, passphrase);
  const key = Array.isArray(result) ? result[0] : result;
  return key instanceof Error || !key?.isPrivateKey() ? undefined : key;
}

async function readKey(file: string, peer: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const code = errnoOf(cause) === "ENOENT" ? "not_found" : "permission_denied";
    const hint = "key_file of the remote names a private key on this machine";
    throw new PbError(code, `${peer}: key_file ${file} cannot be read`, { path: file, peer, hint, cause });
  }
}

export function stringOf(setting: Setting | undefined): string | undefined {
  return typeof setting === "string" && setting !== "" ? setting : undefined;
}
