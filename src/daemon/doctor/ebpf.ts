import { access, readFile } from "node:fs/promises";
import { type LocalCheck, ok, skipped, warn } from "./check.ts";

/** Bits of CapEff, from linux/capability.h. */
const CAP_SYS_ADMIN = 21n;
const CAP_BPF = 39n;

/** May this process load eBPF programs? They are optional: without them some measurements are not shown. */
export const ebpf: LocalCheck = {
  name: "ebpf",
  async run() {
    const status = await readFile("/proc/self/status", "utf8").catch(() => "");
    const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1];
    if (effective === undefined) return skipped("the kernel does not say (/proc/self/status)");
    const has = (bit: bigint) => ((BigInt(`0x${effective}`) >> bit) & 1n) === 1n;
    const btf = await access("/sys/kernel/btf/vmlinux").then(
      () => true,
      () => false,
    );
    const open = (
      await readFile("/proc/sys/kernel/unprivileged_bpf_disabled", "utf8").catch(() => "")
    ).trim();
    const detail = [
      btf ? "BTF there" : "no BTF (/sys/kernel/btf/vmlinux)",
      has(CAP_BPF) || has(CAP_SYS_ADMIN) ? "CAP_BPF" : "no CAP_BPF",
      open === "0" ? "unprivileged allowed" : "unprivileged not allowed",
    ].join(", ");
    const may = has(CAP_BPF) || has(CAP_SYS_ADMIN) || open === "0";
    if (btf && may) return ok(detail);
    if (!btf) return warn(detail, "optional: a kernel with CONFIG_DEBUG_INFO_BTF shows more of the network");
    return warn(detail, "optional: setcap cap_bpf,cap_net_admin,cap_perfmon+ep on node, or run as root");
  },
};
