import { expect, it } from "vitest";
import { bytesMoved, Copies } from "./copies.ts";

it("sums what both sides copied, by the payload that was moved", () => {
  const copies = new Copies();
  expect(copies.fields()).toEqual({ copiesPerByte: 0, copies: [] });
  const sender = [
    { step: "read", bytes: 100 },
    { step: "send", bytes: 150 },
    // Of what it received: no payload.
    { step: "receive", bytes: 9 },
  ];
  copies.add({ sender, receiver: [{ step: "write", bytes: 100 }], bytes: 100 });
  copies.add({
    sender,
    receiver: [{ step: "receive", bytes: 100 }],
    bytes: bytesMoved({ bytes: 120, resumedBytes: 20 }),
  });
  const fields = copies.fields();
  expect(fields.copies.map(({ side, step, perByte }) => [side, step, perByte])).toEqual([
    ["sender", "read", 1],
    ["sender", "send", 1.5],
    ["receiver", "receive", 0.5],
    ["receiver", "write", 0.5],
  ]);
  expect(fields.copiesPerByte).toBe(3.5);
});
