import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { fingerprint, keyType, knownKeys, knownLine } from "./known-hosts.ts";

const KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
const found = (content: string, host = "box.example", port = 22) =>
  knownKeys(content, { host, port, file: "k" }).map(
    ({ where, revoked }) => `${where}${revoked ? " revoked" : ""}`,
  );

test("names, patterns, ports, comments", () => {
  const content = [
    "# a comment",
    `box.example,10.0.0.1 ssh-ed25519 ${KEY} comment`,
    `*.example,!box.example ssh-ed25519 ${KEY}`,
    `b?x.* ssh-ed25519 ${KEY}`,
    `[box.example]:2222 ssh-ed25519 ${KEY}`,
    `@revoked * ssh-ed25519 ${KEY}`,
    `@cert-authority * ssh-ed25519 ${KEY}`,
    "box.example broken",
  ].join("\n");
  expect(found(content)).toEqual(["k:2", "k:4", "k:6 revoked"]);
  expect(found(content, "BOX.example")).toEqual(["k:2", "k:4", "k:6 revoked"]);
  expect(found(content, "box.example", 2222)).toEqual(["k:5", "k:6 revoked"]);
  expect(found(content, "other.example")).toEqual(["k:3", "k:6 revoked"]);
  // A dot is a dot.
  expect(found(`box.example ssh-ed25519 ${KEY}`, "boxxexample")).toEqual([]);
});

test("names that are hashed", () => {
  const salt = Buffer.from("01234567890123456789");
  const hash = createHmac("sha1", salt).update("box.example").digest("base64");
  const line = `|1|${salt.toString("base64")}|${hash} ssh-ed25519 ${KEY}`;
  expect(found(line)).toEqual(["k:1"]);
  expect(found(line, "other.example")).toEqual([]);
  expect(found(`|1|broken ssh-ed25519 ${KEY}`)).toEqual([]);
});

test("a key's type, fingerprint and line", () => {
  const key = Buffer.from(KEY, "base64");
  expect(keyType(key)).toBe("ssh-ed25519");
  expect(keyType(Buffer.from([0, 0, 1]))).toBe("");
  expect(keyType(Buffer.from([255, 255, 255, 255, 1]))).toBe("");
  expect(fingerprint(key)).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
  expect(found(knownLine("box.example", 2222, key), "box.example", 2222)).toEqual(["k:1"]);
});
