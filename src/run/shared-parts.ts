import { PbError } from "../model/error.ts";
import { displayPath, joinPath } from "../model/path.ts";
import { compareWithDestination } from "./compare.ts";
import type { RunContext } from "./context.ts";
import { isSameThing } from "./same-file.ts";

/**
 * Before a move whose source lists itself elsewhere: nothing of it may be, through a mount or link further down, its own target, or
 * the only copy would be removed as the source of itself.
 *
 * @throws PbError `same_file`
 */
export async function refuseSharedParts({ request, oneHost, signal }: RunContext): Promise<void> {
  if (!oneHost || !request.move || !request.intoExisting) return;
  const report = { error: () => {} };
  for await (const group of compareWithDestination(request, { report, signal })) {
    for (const { source, entry, existing } of group) {
      if (existing === undefined || !isSameThing(entry, existing)) continue;
      const path = joinPath(source.endpoint.path, entry.path);
      throw new PbError("same_file", `${displayPath(path)} is, through a link or mount, its own target`, {
        path,
      });
    }
  }
}
