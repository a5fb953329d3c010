import { release } from "node:os";
import { features } from "../features.ts";
import { type LocalCheck, ok, warn } from "./check.ts";

/** Trains of datagrams in one system call: without them UDP costs several times the processor. */
export const offload: LocalCheck = {
  name: "gso/gro",
  async run() {
    const known = features();
    const missing = ["gso", "gro"].filter((name) => !known.includes(name));
    const detail = `Linux ${release()}: ${missing.length === 0 ? "UDP GSO and GRO" : `no UDP ${missing.join(", ")}`}`;
    if (missing.length === 0) return ok(detail);
    return warn(detail, "a kernel of 5.0 or later; until then use more --lanes");
  },
};
