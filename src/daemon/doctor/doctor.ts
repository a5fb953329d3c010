import { createSessionPeer } from "../../backend/pb/session.ts";
import type { RemoteStore } from "../../credential/remotes.ts";
import type { Check, DoctorActions } from "../../model/actions.ts";
import { PbError } from "../../model/error.ts";
import type { NativeEngine } from "../../native/types.ts";
import { connectRemote, type TokenOf } from "../open-remote.ts";
import { buffers } from "./buffers.ts";
import { type Finding, findingOf, type LocalCheck, type RemoteCheck, skipped } from "./check.ts";
import { clock } from "./clock.ts";
import { descriptors } from "./descriptors.ts";
import { disk } from "./disk.ts";
import { ebpf } from "./ebpf.ts";
import { identity } from "./identity.ts";
import { mtu } from "./mtu.ts";
import { offload } from "./offload.ts";
import { tls } from "./tls.ts";
import { udp } from "./udp.ts";

export interface DoctorOptions {
  readonly home: string;
  readonly store: RemoteStore;
  readonly tokenOf?: TokenOf;
  readonly engine: Pick<NativeEngine, "connect">;
}

export function createDoctor({ home, store, tokenOf, engine }: DoctorOptions): DoctorActions {
  const local: readonly LocalCheck[] = [identity(store), buffers, offload, ebpf, disk, descriptors];
  const remote: readonly RemoteCheck[] = [
    tls,
    clock,
    mtu,
    udp(({ connection }) => createSessionPeer({ connection, engine })),
  ];

  return {
    async *check({ remote: name, signal }) {
      for (const check of local) {
        yield await found(check.name, signal, () => check.run({ home, signal }));
      }
      if (name === undefined) {
        for (const check of remote) yield { name: check.name, ...skipped("of a remote: pb doctor REMOTE") };
        return;
      }
      await using connection = await connectRemote(store, name, { tokenOf });
      for (const check of remote) {
        yield await found(check.name, signal, () => check.run({ home, signal, connection }));
      }
    },
  };
}

async function found(name: string, signal: AbortSignal, run: () => Promise<Finding>): Promise<Check> {
  if (signal.aborted) throw new PbError("aborted", "interrupted", { cause: signal.reason });
  try {
    return { name, ...(await run()) };
  } catch (error) {
    return { name, ...findingOf(error) };
  }
}
