import { randomBytes } from "node:crypto";

/** As the engine names its own: what is left of one is recognised by the same pattern. */
export const PART = /^\.pb-[0-9a-f]{16}\.part$/;

/** Of what has no final name yet: 32 bits of the job that it belongs to (`CreateChunksOptions.nameTag`), 32 by chance. */
export function partName(nameTag: number | undefined): string {
  const tag = nameTag === undefined ? randomBytes(4).toString("hex") : nameTag.toString(16).padStart(8, "0");
  return `.pb-${tag}${randomBytes(4).toString("hex")}.part`;
}
