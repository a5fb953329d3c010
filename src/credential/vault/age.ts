/** Files in the format of age (age-encryption.org/v1), armored; `age -d -i identity FILE` reads them too. Loaded when first used. */

import { PbError } from "../../model/error.ts";

const library = () => import("age-encryption");

/** 2^18 rounds of scrypt, age's own default: about a second, and 256 MiB. */
export const SCRYPT_LOG_N = 18;

export const ARMOR_START = "-----BEGIN AGE ENCRYPTED FILE-----";

/** `AGE-SECRET-KEY-1...`, an X25519 key. */
export async function newIdentity(): Promise<string> {
  return (await library()).generateX25519Identity();
}

/** Encrypts so that only who has one of the identities can read. */
export async function seal(text: string, ...identities: readonly string[]): Promise<string> {
  const { Encrypter, armor, identityToRecipient } = await library();
  const encrypter = new Encrypter();
  for (const identity of identities) encrypter.addRecipient(await identityToRecipient(identity));
  return armor.encode(await whole(await encrypter.encrypt(streamOf(Buffer.from(text)))));
}

/** @throws PbError `unauthenticated` when it is sealed for another identity or damaged */
export async function unseal(sealed: string, identity: string, file: string): Promise<string> {
  const { Decrypter, armor } = await library();
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  try {
    return new TextDecoder().decode(await whole(await decrypter.decrypt(streamOf(armor.decode(sealed)))));
  } catch (cause) {
    throw new PbError("unauthenticated", `${file} is not sealed for the identity beside it, or damaged`, {
      path: file,
      cause,
      hint: "restore both files from the same copy",
    });
  }
}

export async function sealByPassphrase(text: string, passphrase: string, logN: number): Promise<string> {
  const { Encrypter, armor } = await library();
  const encrypter = new Encrypter();
  encrypter.setScryptWorkFactor(logN);
  encrypter.setPassphrase(passphrase);
  return armor.encode(await whole(await encrypter.encrypt(streamOf(Buffer.from(text)))));
}

/** @throws PbError `unauthenticated` for another passphrase */
export async function unsealByPassphrase(sealed: string, passphrase: string, file: string): Promise<string> {
  const { Decrypter, armor } = await library();
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  try {
    return new TextDecoder().decode(await whole(await decrypter.decrypt(streamOf(armor.decode(sealed)))));
  } catch (cause) {
    throw new PbError("unauthenticated", `the passphrase does not open ${file}`, { path: file, cause });
  }
}

/**
 * To and from age's streams by hand: given bytes, it gathers its result with a `Response` of the web, for which Node loads its whole HTTP client:
 * half of the processor time of opening a store.
 */
function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}

async function whole(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
