/** A directory that the engine may work below. Descriptor-relative; see native/pb-io/src/fs. */
export interface NativeRoot {
  /** Idempotent. */
  close(): void;
}
