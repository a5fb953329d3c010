import { randomBytes } from "node:crypto";
import { PbError } from "../../model/error.ts";
import { dirName, pathBytes, pathText } from "../../model/path.ts";
import type { LinkOptions } from "../chunks.ts";
import { componentsBelow } from "../path.ts";
import * as calls from "./calls.ts";
import { kindOf, secondsOf } from "./entries.ts";
import { isFailure, isMissing } from "./errors.ts";
import { below, found, makeFolders, replacing } from "./files.ts";
import { type Call, type Ground, onGround } from "./ground.ts";
import { BOUNDS } from "./resolve.ts";

/**
 * SSH_FXP_SYMLINK has its two paths in another order with OpenSSH than in the draft ("An error in the implementation", PROTOCOL section 4.1 of
 * OpenSSH), and a server that takes them the other way round would make a link wherever the text says. So only servers with OpenSSH's own
 * extension are asked.
 */
export const NO_LINKS =
  "this server does not say in which order it takes a link's two paths (posix-rename@openssh.com)";

/** Under a name of its own first, then in place of what is there. */
export function makeLink(
  ground: Ground,
  path: string,
  { target, mtimeNs, signal: caller }: LinkOptions,
): Promise<void> {
  return onGround(ground, { path, signal: caller }, async (call) => {
    const components = componentsBelow(path, BOUNDS);
    if (components.length === 0) throw new PbError("is_a_directory", "the root is a folder", { path });
    if (!ground.replaces) throw new PbError("unsupported", NO_LINKS, { path });
    const { session, signal, resolve } = call;
    const final = await resolve(path, "keep");
    const name = Buffer.from(`.pb-${randomBytes(8).toString("hex")}.part`);
    const part = below(pathBytes(dirName(pathText(final))), name);
    const link = { text: pathBytes(target), at: part, signal };
    try {
      await calls.symlink(session, link);
    } catch (error) {
      if (!isMissing(error)) throw error;
      const parent = dirName(components.join("/"));
      if (parent !== "") await makeFolders(call, parent);
      await calls.symlink(session, link);
    }
    try {
      const mtime = mtimeNs === undefined ? undefined : secondsOf(mtimeNs);
      if (mtime !== undefined && session.extensions.has(calls.LSETSTAT))
        await calls.lsetstat(session, part, { mtime }, signal);
      await publish(call, { part, final, path });
    } catch (error) {
      await calls.removeFile(session, part, new AbortController().signal).catch(() => {});
      throw error;
    }
  });
}

interface Placed {
  readonly part: Uint8Array;
  readonly final: Uint8Array;
  readonly path: string;
}

async function publish(call: Call, { part, final, path }: Placed): Promise<void> {
  try {
    await replacing(call, { from: part, to: final, signal: call.signal, replaces: true });
  } catch (error) {
    const there = isFailure(error) ? await found(call, final) : undefined;
    if (there && kindOf(there) === "directory")
      throw new PbError("is_a_directory", "a folder has this name", { path, cause: error });
    throw error;
  }
}
