/** Whether a folder is empty, where a server may leave names out of its listings and a DELETE of a folder takes all that is in it (RFC 4918 section 9.6.1). */
import { PbError } from "../../model/error.ts";
import { joinPath } from "../../model/path.ts";
import { partName } from "../part-name.ts";
import type { WebClient } from "../web/client.ts";
import type { Asked } from "../web/listing.ts";
import { readFolder } from "./propfind.ts";
import { removeQuietly } from "./quietly.ts";

export interface EmptyFolders {
  /**
   * Resolves when nothing is in the folder, for all that can be known: between this look and what the caller does next something may come, which no
   * request of WebDAV prevents.
   *
   * @throws PbError `not_empty`, also when the server does not show names that begin with a dot, so that nobody can say
   */
  need(asked: Asked): Promise<void>;
}

/** One for a client: what its server shows is found out once, by a file of a hidden name. */
export function emptyFolders(client: WebClient): EmptyFolders {
  let showsHidden: boolean | undefined;
  return {
    async need({ path, signal }) {
      const refuse = (words: string) => new PbError("not_empty", words, { path, peer: client.peer });
      if ((await shown(client, { path, signal })).length > 0) throw refuse(FULL);
      if (showsHidden === undefined) {
        const name = partName(undefined);
        const seen = await shownWith(client, { path, name, signal });
        showsHidden = seen?.includes(name);
        if (showsHidden && seen?.length !== 1) throw refuse(FULL);
      }
      if (!showsHidden) throw refuse(UNSEEN);
    },
  };
}

const FULL = "the folder is not empty";
const UNSEEN =
  "names that begin with a dot are left out of this server's listings: whether the folder is empty can't be seen";

/** What the folder shows: names, and what is wrong with those that can't be taken for one. */
async function shown(client: WebClient, asked: Asked): Promise<readonly string[]> {
  const { entries, errors } = await readFolder(client, "", asked);
  return [...entries.map(({ path }) => path), ...errors.map(({ message }) => message)];
}

/** The same while a file of this name is in it, which is gone afterwards. Undefined where none may be put. */
async function shownWith(
  client: WebClient,
  { path, name, signal }: Asked & { readonly name: string },
): Promise<readonly string[] | undefined> {
  const probe = joinPath(path, name);
  try {
    (await client.send({ method: "PUT", path: probe, body: new Uint8Array(), signal })).drop();
    return await shown(client, { path, signal });
  } catch (cause) {
    const error = PbError.from(cause);
    if (NOT_TO_BE_PUT.has(error.code)) return undefined;
    throw error;
  } finally {
    await removeQuietly(client, probe);
  }
}

const NOT_TO_BE_PUT: ReadonlySet<string> = new Set([
  "permission_denied",
  "unsupported",
  "read_only",
  "no_space",
]);
