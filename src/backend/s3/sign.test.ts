import { HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { createSigner, EMPTY_HASH, encodeKey, encodeQuery, sha256Hex } from "./sign.ts";

/** Of Amazon's examples (S3 API reference, "Signature calculations for the Authorization header"). */
const KEYS = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const SCOPE = { keys: KEYS, region: "us-east-1", service: "s3", now: new Date("2013-05-24T00:00:00Z") };
const host = "examplebucket.s3.amazonaws.com";

const signatureOf = (headers: Readonly<Record<string, string>>) =>
  /Signature=(\w+)$/.exec(headers.authorization ?? "")?.[1];

test("Amazon's examples", () => {
  const sign = createSigner();
  const get = {
    method: "GET",
    host,
    path: "/test.txt",
    headers: { range: "bytes=0-9" },
    payloadHash: EMPTY_HASH,
  };
  expect(signatureOf(sign(get, SCOPE))).toBe(
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  );
  const put = {
    method: "PUT",
    host,
    path: `/${encodeKey("test$file.text")}`,
    headers: { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
    payloadHash: sha256Hex("Welcome to Amazon S3."),
  };
  expect(signatureOf(sign(put, SCOPE))).toBe(
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  );
  const query = encodeQuery({ prefix: "J", "max-keys": "2" });
  const list = { method: "GET", host, path: "/", query, headers: {}, payloadHash: EMPTY_HASH };
  expect(signatureOf(sign(list, SCOPE))).toBe(
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
  );
});

/** What the SDK would send, for a key that is hard to write. */
async function bySdk(key: string) {
  let sent: { path: string; headers: Record<string, string> } | undefined;
  const client = new S3Client({
    region: "eu-north-1",
    endpoint: "http://127.0.0.1:9",
    forcePathStyle: true,
    credentials: { ...KEYS, sessionToken: "of a day/+=" },
    requestHandler: {
      handle: async (request: unknown) => {
        sent = request as NonNullable<typeof sent>;
        throw new Error("enough");
      },
    },
  });
  await client.send(new HeadObjectCommand({ Bucket: "b", Key: key })).catch(() => {});
  if (sent === undefined) throw new Error("nothing was sent");
  return sent;
}

test.each(["plain", "a b+c&d=e", "~tilde!'()*", "über/straße %41", "../a//b/./", "new\nline\u0001", "😀"])(
  "the SDK's signature and path for %j",
  async (key) => {
    const { path, headers } = await bySdk(key);
    const { authorization, ...rest } = headers;
    expect(`/b/${encodeKey(key)}`).toBe(path);
    const names = /SignedHeaders=([^,]+)/.exec(authorization ?? "")?.[1]?.split(";") ?? [];
    const own = ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];
    const given = names.filter((name) => !own.includes(name)).map((name) => [name, rest[name] ?? ""]);
    const time = (rest["x-amz-date"] ?? "").replace(/^(....)(..)(..T..)(..)/, "$1-$2-$3:$4:");
    const signed = createSigner()(
      {
        method: "HEAD",
        host: rest.host ?? "",
        path,
        headers: Object.fromEntries(given),
        payloadHash: EMPTY_HASH,
      },
      {
        keys: { ...KEYS, sessionToken: "of a day/+=" },
        region: "eu-north-1",
        service: "s3",
        now: new Date(time),
      },
    );
    expect(signed.authorization).toBe(authorization);
  },
);
