/** ownCloud's header, which Nextcloud and rclone's server know too: seconds since 1970. Others pass it over. */
export function timeHeaders(mtimeNs: bigint): Readonly<Record<string, string>> {
  return { "x-oc-mtime": String(mtimeNs / 1_000_000_000n) };
}
