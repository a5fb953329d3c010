import { createLab, type Lab } from "../../../bench/netlab/lab.ts";
import { whyNoLab } from "../../../bench/netlab/shell.ts";
import { resolveTopology } from "../../../bench/netlab/topology.ts";
import type { Wire } from "./outage.ts";

export { whyNoLab };

/** An emulated link of 400 Mbit/s and 40 ms. */
export async function labWire(): Promise<{ readonly lab: Lab; readonly wire: Wire }> {
  const link = { between: ["client", "server"], rateMbitPerSec: 400, delayMs: 20, queueBdp: 1 };
  const lab = await createLab(resolveTopology({ links: [link] }));
  const [client, server] = [lab.host("client"), lab.host("server")];
  const [here, there] = [client.addresses[0], server.addresses[0]];
  if (!here || !there) throw new TypeError("a link has two ends");
  const wire = {
    client: client.namespace,
    server: server.namespace,
    clientDevice: here.device,
    serverDevice: there.device,
    clientAddress: `${here.address}/30`,
    serverAddress: there.address,
  };
  return { lab, wire };
}
