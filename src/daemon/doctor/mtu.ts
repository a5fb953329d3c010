import { createSocket } from "node:dgram";
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import type { HostPort } from "../../credential/address.ts";
import { ok, type RemoteCheck, skipped, warn } from "./check.ts";

/** RFC 8200 section 5: IPv6 needs as much on every link; below it the padded HELLO of 1,200 bytes hardly fits. */
const LEAST_BYTES = 1280;
const ETHERNET_BYTES = 1500;

/** The MTU of the interface that leads to the remote. The path's own is found by the lanes while they send. */
export const mtu: RemoteCheck = {
  name: "mtu",
  async run({ connection }) {
    const local = await sourceAddress(await connection.endpoint());
    const found = Object.entries(networkInterfaces()).find(([, addresses]) =>
      addresses?.some(({ address }) => address === local),
    );
    const text = found && (await readFile(`/sys/class/net/${found[0]}/mtu`, "utf8").catch(() => undefined));
    if (!found || !text) return skipped(`the interface of ${local} is not known`);
    const bytes = Number(text);
    const detail = `${bytes} bytes on ${found[0]}`;
    if (bytes < LEAST_BYTES) return warn(detail, `ip link set dev ${found[0]} mtu ${ETHERNET_BYTES}`);
    return ok(detail);
  },
};

/** What the kernel would send from; a connected UDP socket sends nothing to find out. */
function sourceAddress({ host, port }: HostPort): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    const done = (error?: Error) => {
      const address = error ? "" : socket.address().address;
      socket.close();
      if (error) reject(error);
      else resolve(address);
    };
    socket.once("error", done);
    socket.connect(port, host, () => done());
  });
}
