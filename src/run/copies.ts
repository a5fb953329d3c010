import { create } from "@bufbuild/protobuf";
import type { JobDone } from "../gen/packetboat/v1/session_pb.ts";
import { type CopyStep, CopyStepSchema } from "../gen/packetboat/v1/transfer_pb.ts";
import type { Copied, JobResult } from "../native/types.ts";

/** The steps of each side, in the order of a byte's way; those of the other direction carry no payload. */
const STEPS = {
  sender: ["read", "bundle", "seal", "packet", "send"],
  receiver: ["receive", "shift", "open", "place", "write"],
} as const;

const SIDES = ["sender", "receiver"] as const;
type Side = (typeof SIDES)[number];

/** How often processors copied what a transfer moved, summed over those of its sessions of which both sides told. */
export class Copies {
  readonly #copied = new Map<string, number>();
  #bytes = 0;

  add(leg: Readonly<Record<Side, readonly Copied[]>> & { readonly bytes: number }): void {
    this.#bytes += leg.bytes;
    for (const side of SIDES) {
      for (const { step, bytes } of leg[side]) {
        const key = `${side} ${step}`;
        this.#copied.set(key, (this.#copied.get(key) ?? 0) + bytes);
      }
    }
  }

  /** Fields of the receipt. Nothing is known of nothing. */
  fields(): { readonly copiesPerByte: number; readonly copies: CopyStep[] } {
    const moved = this.#bytes;
    if (moved <= 0) return { copiesPerByte: 0, copies: [] };
    const copies = SIDES.flatMap((side) =>
      STEPS[side].flatMap((step) => {
        const bytes = this.#copied.get(`${side} ${step}`) ?? 0;
        return bytes === 0 ? [] : [create(CopyStepSchema, { side, step, perByte: bytes / moved })];
      }),
    );
    return { copiesPerByte: copies.reduce((sum, { perByte }) => sum + perByte, 0), copies };
  }
}

/** What the far side copied, from its last word. */
export function copiedFar(done: JobDone | undefined): Copied[] {
  return (done?.copied ?? []).map(({ step, bytes }) => ({ step, bytes: Number(bytes) }));
}

/** What was there of an earlier run was not moved by this one. */
export function bytesMoved({ bytes, resumedBytes }: Pick<JobResult, "bytes" | "resumedBytes">): number {
  return Math.max(0, bytes - resumedBytes);
}
