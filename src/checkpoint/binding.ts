import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { CheckpointBinding } from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import type { CheckpointFiles } from "./files.ts";
import { bindingDigest, encodeHeader, HEADER_BYTES, readHeader, seedOf } from "./header.ts";
import { BINDING } from "./names.ts";
import { replaceFile } from "./replace.ts";
import { reading } from "./window.ts";

/** Header (first field: length), then job and destination as JSON, CRC-32 seeded by the header. */
function encodeBinding({ job, destination }: CheckpointBinding): Buffer {
  const payload = Buffer.from(JSON.stringify({ job, destination }));
  const digest = bindingDigest({ job, destination });
  const header = encodeHeader({ kind: "binding", digest, fields: [payload.length, 0, 0] });
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(payload, seedOf(header)));
  return Buffer.concat([header, payload, crc]);
}

/** The caller syncs the folder. */
export async function writeBinding(
  files: CheckpointFiles,
  directory: string,
  binding: CheckpointBinding,
): Promise<void> {
  const bytes = encodeBinding(binding);
  await replaceFile({ files, path: join(directory, BINDING), write: (file) => file.write(bytes, 0) });
}

/** "damaged": there is something, but not whole. @throws PbError `unsupported_version`, `not_found` */
export function readBinding(
  files: CheckpointFiles,
  directory: string,
): Promise<CheckpointBinding | "damaged"> {
  const path = join(directory, BINDING);
  return reading(files.open(path, "read"), async (window) => {
    const bytes = await window.at(0, window.size);
    const header = bytes && readHeader(bytes, path);
    const length = header?.fields[0] ?? 0;
    if (!bytes || header?.kind !== "binding" || bytes.length !== HEADER_BYTES + length + 4) return "damaged";
    const payload = bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
    if (crc32(payload, header.seed) !== bytes.readUInt32BE(HEADER_BYTES + length)) return "damaged";
    return parse(payload);
  });
}

function parse(payload: Buffer): CheckpointBinding | "damaged" {
  const value: unknown = JSON.parse(payload.toString());
  const { job, destination } = value as Record<string, unknown>;
  return typeof job === "string" && typeof destination === "string" ? { job, destination } : "damaged";
}

/** @throws PbError `wrong_job` */
export function checkBinding(found: CheckpointBinding, wanted: CheckpointBinding, directory: string): void {
  const differs = (what: string, one: string, other: string) =>
    new PbError("wrong_job", `the checkpoint in ${directory} is of ${what} ${one}, not of ${other}`, {
      path: directory,
      hint: "start afresh with --resume never",
    });
  if (found.job !== wanted.job) throw differs("job", found.job, wanted.job);
  if (found.destination !== wanted.destination) {
    throw differs("destination", found.destination, wanted.destination);
  }
}
