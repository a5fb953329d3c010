import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { PbError } from "../../model/error.ts";
import { formatLocation, type Location, parseLocation } from "../../model/location.ts";
import { baseName, joinPath, pathBytes } from "../../model/path.ts";

/** A location that is not a standard stream, ready for the services: local paths are absolute. */
export interface Place {
  /** A remote's name or host:port; "": this machine. */
  readonly remote: string;
  /** `PathText`, absolute. */
  readonly path: string;
}

/** The message that the services take. */
export function protoLocation(place: Place): { remote: string; path: Uint8Array } {
  return { remote: place.remote, path: pathBytes(place.path) };
}

/** As a user would write it. */
export function formatPlace(place: Place): string {
  if (place.remote !== "") return formatLocation({ kind: "remote", remote: place.remote, path: place.path });
  return place.path;
}

/** Shorter, for display: what is below the current folder is named from there. */
export function shortPlace(place: Place, cwd: string): string {
  if (place.remote !== "") return formatPlace(place);
  if (place.path === cwd) return ".";
  const prefix = cwd.endsWith("/") ? cwd : `${cwd}/`;
  return place.path.startsWith(prefix) ? place.path.slice(prefix.length) : place.path;
}

/** The same place, one level down (or more: `name` may have slashes). */
export function within(place: Place, name: string): Place {
  return { remote: place.remote, path: joinPath(place.path, name) };
}

/** The name under which a source arrives. */
export function placeName(place: Place): string {
  return baseName(place.path);
}

/** A word of the command line as a place, or "-" for a standard stream. */
export function parsePlaceOrStream(text: string, cwd: string): Place | "-" {
  const location = parseLocation(text);
  return location.kind === "stdio" ? "-" : toPlace(location, cwd);
}

/** @throws PbError `usage` for `-`, which only transfers take */
export function parsePlace(text: string, cwd: string): Place {
  const place = parsePlaceOrStream(text, cwd);
  if (place === "-")
    throw new PbError(
      "usage",
      "- (a standard stream) is only for transfer; for a file of that name write ./-",
    );
  return place;
}

/**
 * A word as the server `on` will take it: what is there is not for this machine's kernel to resolve, and what is called by the server's own name
 * here is a folder of its own there. @throws PbError `usage` for `-`
 */
export function parsePlaceThere(text: string, on: string): Place {
  const location = parseLocation(text);
  if (location.kind === "remote") {
    const place = toPlace(location, "/");
    return place.remote === on ? { ...place, remote: "" } : place;
  }
  if (location.kind === "local") return { remote: "", path: `/${location.path.replace(/^\/+|\/+$/g, "")}` };
  throw new PbError("usage", "- (a standard stream) is of this machine, and the job is not", {
    peer: "--on",
  });
}

function toPlace(location: Exclude<Location, { kind: "stdio" }>, cwd: string): Place {
  if (location.kind === "local") return { remote: "", path: absolute(location.path, cwd) };
  return { remote: location.remote, path: location.path.replace(/\/+/g, "/").replace(/(.)\/$/, "$1") };
}

/**
 * Absolute, without "." and ".." and doubled slashes. What ".." climbs out of is resolved by the kernel, since it may be a link;
 * the rest stays as written, so that a link can be named itself.
 */
function absolute(path: string, cwd: string): string {
  const parts = joinPath(path.startsWith("/") ? "/" : cwd, path)
    .split("/")
    .filter((part) => part !== "" && part !== ".");
  const climb = parts.lastIndexOf("..");
  if (climb < 0) return `/${parts.join("/")}`;
  const head = `/${parts.slice(0, climb + 1).join("/")}`;
  return joinPath(realPath(head), parts.slice(climb + 1).join("/"));
}

function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    // Not there: the service names the missing path, and lexical is what the user sees.
    return resolve(path);
  }
}
