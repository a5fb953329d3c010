/** Connections to a source that is an endpoint, opened while other round trips are waited for. */
import { WHOLE_MAX } from "./pump/source.ts";
import type { Endpoint, ResolvedSource } from "./request.ts";

/** Before anybody knows what the source is. */
export function warmAny(source: Endpoint | undefined): void {
  warm(source, 0);
}

/** For the first of what was resolved, where it is a file that is not read whole. */
export function warmFor(first: ResolvedSource | undefined): void {
  const { kind, size } = first?.seen?.entry ?? { kind: "other", size: 0 };
  if (kind === "file" && size > WHOLE_MAX) warm(first?.endpoint, size);
}

function warm(source: Endpoint | undefined, bytes: number): void {
  const native = source?.backend.native;
  if (native?.kind === "chunks") native.chunks.warm?.(bytes);
}
