import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NoMultistatus, type Resource, readMultistatus } from "./multistatus.ts";

async function read(text: string | Uint8Array, cuts: readonly number[] = []): Promise<Resource[]> {
  const bytes = Buffer.from(text as string);
  const found: Resource[] = [];
  async function* pieces() {
    const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
    let from = 0;
    for (const end of ends) {
      yield bytes.subarray(from, end);
      from = end;
    }
  }
  await readMultistatus(pieces(), (each) => void found.push(each));
  return found;
}

const good = "<d:status>HTTP/1.1 200 OK</d:status>";
const answer = (inside: string) =>
  `<?xml version="1.0"?>\n<d:multistatus xmlns:d="DAV:" xmlns:x="urn:other">${inside}</d:multistatus>\n`;
const response = (href: string, props: string) =>
  `<d:response><d:href> ${href} </d:href><d:propstat><d:prop>${props}</d:prop>${good}</d:propstat></d:response>`;

const listing = answer(
  [
    response("/dav/", "<d:resourcetype><d:collection/></d:resourcetype>"),
    response(
      "/dav/a%20&amp;%20b",
      '<d:resourcetype/><d:getcontentlength>12</d:getcontentlength><d:getetag>"x&quot;"</d:getetag>',
    ),
    response("/dav/&#252;ber-\u00fc", "<d:getcontentlength><![CDATA[7]]></d:getcontentlength>"),
  ].join("\n  "),
);
const found = [
  { href: "/dav/", isCollection: true, properties: {} },
  { href: "/dav/a%20&%20b", isCollection: false, properties: { getcontentlength: "12", getetag: '"x""' } },
  { href: "/dav/\u00fcber-\u00fc", isCollection: false, properties: { getcontentlength: "7" } },
];

test("says the same wherever it is cut", async () => {
  expect(await read(listing)).toEqual(found);
  const cuts = fc.array(fc.nat(listing.length * 2), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(cuts, async (at) => {
      expect(await read(listing, at)).toEqual(found);
    }),
  );
});

test("bytes that are no UTF-8 are names, too", async () => {
  const [head = "", tail = ""] = answer(response("/dav/X", "<d:resourcetype/>")).split("X");
  const [only] = await read(Buffer.concat([Buffer.from(head), Buffer.from([0xff]), Buffer.from(tail)]));
  expect(only?.href).toBe("/dav/\udcff");
});

test("a property counts with a status of 200 alone", async () => {
  const missing =
    "<d:propstat><d:prop><d:getcontentlength>9</d:getcontentlength><d:resourcetype><d:collection/></d:resourcetype></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>";
  const text = answer(`<d:response><d:href>/f</d:href>${missing}</d:response>`);
  expect(await read(text)).toEqual([{ href: "/f", isCollection: false, properties: {} }]);
});

test("what is deeper or of another name is nobody's", async () => {
  const deep = response("/f", "<x:owner><d:getcontentlength>9</d:getcontentlength><d:collection/></x:owner>");
  expect(await read(answer(`<x:note>${deep}</x:note>${deep}`))).toEqual([
    { href: "/f", isCollection: false, properties: {} },
  ]);
});

describe("refuses", () => {
  test.each([
    ["a page", "<html><body>no</body></html>"],
    ["nothing", ""],
    ["text", "hello"],
    ["half of it", listing.slice(0, -20)],
    ["a DTD", `<!DOCTYPE d [<!ENTITY e "e">]>${answer(response("/&e;", ""))}`],
    ["an entity of its own", answer(response("/&e;", ""))],
    ["depth without end", answer("<a>".repeat(100))],
    ["a text without end", answer(response("x".repeat(70_000), ""))],
    ["a tag without end", `<d:multistatus ${"x".repeat(70_000)}`],
    ["a second document", listing + listing],
  ])("%s", async (_name, text) => {
    await expect(read(text)).rejects.toThrow(NoMultistatus);
    await expect(read(text, [1, 9, 40_000])).rejects.toThrow(NoMultistatus);
  });
});
