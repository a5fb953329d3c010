import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ERROR_CODES, PbError } from "../model/error.ts";
import { fromConnectError, fromPeerError, toConnectError } from "./connect.ts";

describe("errors over the API", () => {
  it("keeps every code, path, peer, hint and retryability", () => {
    for (const code of ERROR_CODES) {
      const sent = new PbError(code, `m ${code}`, {
        path: "a/\udc80b",
        peer: "box",
        hint: "h",
        retryable: true,
      });
      // As a client sees it: without our cause.
      const wire = toConnectError(sent);
      wire.cause = undefined;
      const got = fromConnectError(wire);
      expect(got).toMatchObject({
        code,
        message: `m ${code}`,
        path: "a/\udc80b",
        peer: "box",
        hint: "h",
        retryable: true,
      });
    }
  });

  it("finds the PbError that a connection threw", () => {
    const inner = new PbError("fingerprint_mismatch", "not that one");
    const wrapped = new ConnectError(
      "x",
      Code.Internal,
      undefined,
      undefined,
      new Error("y", { cause: inner }),
    );
    expect(fromConnectError(wrapped)).toBe(inner);
  });

  it("tells a lost connection from a server's own failure", () => {
    const reset = Object.assign(new Error("read"), { code: "ECONNRESET" });
    const lost = new ConnectError("x", Code.Internal, undefined, undefined, reset);
    expect(fromConnectError(lost, { peer: "box" })).toMatchObject({ code: "connection_lost", peer: "box" });
    expect(fromConnectError(new ConnectError("x", Code.Internal)).code).toBe("internal");
    expect(fromConnectError(new ConnectError("x", Code.Canceled)).code).toBe("aborted");
  });

  it("takes a cancelled call for a broken connection unless this side cancelled it", () => {
    const cancelled = new ConnectError("x", Code.Canceled);
    expect(fromPeerError(cancelled, { peer: "box" })).toMatchObject({
      code: "connection_lost",
      peer: "box",
      retryable: true,
    });
    expect(fromPeerError(cancelled, { peer: "box", signal: AbortSignal.abort() }).code).toBe("aborted");
    const told = toConnectError(new PbError("aborted", "the server's owner stopped it"));
    told.cause = undefined;
    expect(fromPeerError(told, { peer: "box" })).toMatchObject({ code: "aborted", peer: "box" });
  });
});
