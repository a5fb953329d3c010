import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { PbError } from "../../model/error.ts";
import { classify, startTls } from "./tls.ts";

const withCode = (code: string) => Object.assign(new Error("said so"), { code });
const address = { host: "::1", port: 7 };

describe("what goes wrong on the way to a server", () => {
  it.each([
    ["SELF_SIGNED_CERT_IN_CHAIN", "fingerprint_mismatch"],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "fingerprint_mismatch"],
    ["INVALID_PURPOSE", "fingerprint_mismatch"],
    ["CERT_HAS_EXPIRED", "certificate_expired"],
    ["CERT_NOT_YET_VALID", "certificate_expired"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "unreachable"],
    ["ECONNREFUSED", "unreachable"],
    ["EHOSTUNREACH", "unreachable"],
    ["ENOTFOUND", "unreachable"],
    ["ECONNRESET", "connection_lost"],
  ])("is told by OpenSSL's or the kernel's code: %s is %s", (code, expected) => {
    const error = classify(withCode(code), "box", address);
    expect(error).toMatchObject({ code: expected, peer: "box" });
    expect(error.message).toContain("[::1]:7");
    // Also when the API's client has wrapped it.
    const wrapped = new ConnectError("x", Code.Unavailable, undefined, undefined, withCode(code));
    expect(classify(wrapped, "box", address).code).toBe(expected);
  });

  it("keeps what is already told", () => {
    const told = new PbError("fingerprint_mismatch", "no");
    expect(classify(new Error("x", { cause: told }), "box")).toBe(told);
  });
});

describe("a handshake", () => {
  it("has the name that tells nothing of where it goes", async () => {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const socket = startTls({
      address: { host: "127.0.0.1", port },
      trust: { peer: "box", fingerprint: "", ca: "" },
    });
    socket.on("error", () => undefined);
    const [far] = (await once(server, "connection")) as [Socket];
    const [hello] = (await once(far, "data")) as [Buffer];
    expect(hello.includes("packetboat")).toBe(true);
    expect(hello.includes("127.0.0.1")).toBe(false);
    socket.destroy();
    far.destroy();
    server.close();
  });
});
