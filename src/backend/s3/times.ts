/** rclone's convention, so that each understands what the other has uploaded: seconds since 1970 as a decimal number. */
export const MTIME_KEY = "mtime";

/** What an object's metadata begin with in a request and a reply. */
export const METADATA = "x-amz-meta-";

const SECOND_NS = 1_000_000_000n;
const SECONDS = /^(-?)(\d{1,12})(?:\.(\d{1,9})\d*)?$/;

/** @param mtimeNs nanoseconds since 1970 */
export function mtimeMetadata(mtimeNs: bigint): string {
  const sign = mtimeNs < 0n ? "-" : "";
  const size = mtimeNs < 0n ? -mtimeNs : mtimeNs;
  const fraction = (size % SECOND_NS).toString().padStart(9, "0").replace(/0+$/, "");
  return `${sign}${size / SECOND_NS}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Nanoseconds since 1970; `modified` where the object has no mtime of its own, or one that cannot be read. */
export function mtimeOf(
  metadata: Readonly<Record<string, string>> | undefined,
  modified: Date | undefined,
): bigint {
  const [, sign, seconds, fraction = ""] = SECONDS.exec(metadata?.[MTIME_KEY] ?? "") ?? [];
  if (seconds === undefined) return BigInt(modified?.getTime() ?? 0) * 1_000_000n;
  const size = BigInt(seconds) * SECOND_NS + BigInt(fraction.padEnd(9, "0"));
  return sign === "-" ? -size : size;
}

/** As `mtimeOf`, of a reply's headers. */
export function mtimeIn(header: (name: string) => string | undefined): bigint {
  const kept = header(`${METADATA}${MTIME_KEY}`);
  const modified = Date.parse(header("last-modified") ?? "");
  return mtimeOf(
    kept === undefined ? {} : { [MTIME_KEY]: kept },
    Number.isNaN(modified) ? undefined : new Date(modified),
  );
}
