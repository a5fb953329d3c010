import type {
  FileHash,
  Notice,
  PathSample,
  PlannedAction,
  Receipt,
  RedoneFile,
} from "../../gen/packetboat/v1/transfer_pb.ts";
import type { ErrorInfo } from "../../gen/packetboat/v1/types_pb.ts";
import type { PbError } from "../../model/error.ts";
import { pathText } from "../../model/path.ts";

/** A receipt for programs: camelCase, integer bytes, ISO 8601. docs: README "Receipts". */
export function receiptRecord(receipt: Receipt): Record<string, unknown> {
  return {
    jobId: receipt.jobId,
    state: receipt.state,
    source: receipt.source,
    destination: receipt.destination,
    label: receipt.label === "" ? null : receipt.label,
    startedAt: receipt.startedAt,
    seconds: receipt.seconds,
    ...counts(receipt),
    ...network(receipt),
    verified: receipt.verified,
    fsync: receipt.fsync,
    discarded: receipt.discarded,
    manifestFile: receipt.manifestFile === "" ? null : receipt.manifestFile,
    redone: receipt.redone.map(redoneRecord),
    hashes: receipt.hashes.map(hashRecord),
    notices: receipt.notices.map(noticeRecord),
    errors: receipt.errors.map(errorInfoRecord),
    moreErrors: Number(receipt.moreErrors),
  };
}

function counts(receipt: Receipt): Record<string, unknown> {
  return {
    bytes: Number(receipt.bytes),
    files: Number(receipt.files),
    directories: Number(receipt.directories),
    symlinks: Number(receipt.symlinks),
    leftOutLinks: Number(receipt.leftOutLinks),
    skippedFiles: Number(receipt.skippedFiles),
    skippedBytes: Number(receipt.skippedBytes),
    removedSources: Number(receipt.removedSources),
    bytesPerSecond: Math.round(receipt.bytesPerSecond),
    chunksRefetched: Number(receipt.chunksRefetched),
    resumedBytes: Number(receipt.resumedBytes),
    resumedFiles: Number(receipt.resumedFiles),
    redoneFiles: Number(receipt.redoneFiles),
    attempts: receipt.attempts,
  };
}

function network(receipt: Receipt): Record<string, unknown> {
  return {
    transport: receipt.transport,
    sealed: receipt.sealed,
    lanes: receipt.lanes,
    rttMs: receipt.rttMs,
    minRttMs: receipt.minRttMs,
    lossRate: receipt.lossRate,
    bytesSent: Number(receipt.bytesSent),
    retransmittedBytes: Number(receipt.retransmittedBytes),
    limitedBy: receipt.limitedBy,
    copiesPerByte: receipt.copiesPerByte,
    copies: receipt.copies.map(({ side, step, perByte }) => ({ side, step, perByte })),
    paths: receipt.paths.map(pathRecord),
  };
}

/** Fields as in the proto, numbers for programs. */
function pathRecord(sample: PathSample): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(sample)) {
    if (!key.startsWith("$")) out[key] = typeof value === "bigint" ? Number(value) : value;
  }
  return out;
}

export function plannedRecord(planned: PlannedAction): Record<string, unknown> {
  return {
    action: planned.action,
    path: pathText(planned.path),
    size: Number(planned.size),
    reason: planned.reason,
  };
}

function redoneRecord({ path, reason }: RedoneFile): Record<string, unknown> {
  return { path: pathText(path), reason };
}

function hashRecord(hash: FileHash): Record<string, unknown> {
  return {
    path: pathText(hash.path),
    size: Number(hash.size),
    blake3: Buffer.from(hash.blake3).toString("hex"),
  };
}

export function noticeRecord({ code, message }: Notice): Record<string, unknown> {
  return { code, message };
}

export function errorInfoRecord(info: ErrorInfo): Record<string, unknown> {
  return {
    code: info.code,
    message: info.message,
    path: info.path.length === 0 ? null : pathText(info.path),
    peer: info.peer === "" ? null : info.peer,
    retryable: info.retryable,
    hint: info.hint === "" ? null : info.hint,
  };
}

/** The same shape as `errorInfoRecord`. */
export function errorRecord(error: PbError): Record<string, unknown> {
  return {
    code: error.code,
    message: error.message,
    path: error.path ?? null,
    peer: error.peer ?? null,
    retryable: error.retryable,
    hint: error.hint ?? null,
  };
}
