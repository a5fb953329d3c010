import { create } from "@bufbuild/protobuf";
import { type ErrorInfo, ErrorInfoSchema } from "../gen/packetboat/v1/types_pb.ts";
import { isErrorCode, PbError } from "../model/error.ts";
import { pathBytes, pathText } from "../model/path.ts";

/** A `PbError` as the API carries it. The cause stays on its own side. */
export function errorToWire(error: PbError): ErrorInfo {
  return create(ErrorInfoSchema, {
    code: error.code,
    message: error.message,
    path: pathBytes(error.path ?? ""),
    peer: error.peer ?? "",
    retryable: error.retryable,
    hint: error.hint ?? "",
  });
}

/**
 * The error that a peer told. A code that this version does not know becomes `internal`; `peer` fills in for an error that
 * names none.
 */
export function errorFromWire(info: ErrorInfo, peer?: string): PbError {
  const named = info.peer === "" ? peer : info.peer;
  return new PbError(isErrorCode(info.code) ? info.code : "internal", info.message, {
    ...(info.path.length > 0 ? { path: pathText(info.path) } : {}),
    ...(named ? { peer: named } : {}),
    ...(info.hint === "" ? {} : { hint: info.hint }),
    retryable: info.retryable,
  });
}
