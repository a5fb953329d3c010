import { PbError } from "../../model/error.ts";
import { componentsBelow, type NameBounds } from "../path.ts";

/** A bucket, or something in it. */
export interface Place {
  /** "" is where the buckets are. */
  readonly bucket: string;
  /** No slash at either end; "" is the bucket itself. */
  readonly key: string;
  /** As the caller gave it, for errors. */
  readonly path: string;
}

/** Of an object among all buckets. */
export const nameOf = ({ bucket, key }: Place) => `${bucket}/${key}`;

/** A key has up to 1,024 bytes (S3 user guide, "Naming objects"); 255 a component, as whatever it is copied to has that bound. */
const BOUNDS: NameBounds = { componentBytes: 255, pathBytes: 1_024, anyBytes: false };

/**
 * @param bound the bucket that the remote is bound to; "" when paths begin with one
 * @throws PbError `path_escapes`, `invalid_path`
 */
export function placeOf(path: string, bound: string): Place {
  const components = componentsBelow(path, BOUNDS);
  if (bound !== "") return { bucket: bound, key: components.join("/"), path };
  const [bucket = "", ...rest] = components;
  return { bucket, key: rest.join("/"), path };
}

/** @throws PbError `invalid_path` for what is not an object or a folder in a bucket */
export function objectPlace(place: Place): Place {
  if (place.key !== "") return place;
  throw new PbError("invalid_path", "this is a bucket or the root, not something in a bucket", {
    path: place.path,
  });
}

/** The folder above; its key is "" for something right in the bucket. */
export function parentOf({ bucket, key, path }: Place): Place {
  const cut = key.lastIndexOf("/");
  return { bucket, key: cut < 0 ? "" : key.slice(0, cut), path };
}

/** What all keys of a folder begin with. */
export const prefixOf = ({ key }: Pick<Place, "key">): string => (key === "" ? "" : `${key}/`);
