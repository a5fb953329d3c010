import { describe, expect, it } from "vitest";
import { CallHeaders } from "./call-headers.ts";

/** Node's own is what it stands for: each step is done to both. */
function both(step: (headers: Headers) => unknown): void {
  const [own, nodes] = [new CallHeaders(), new Headers()].map((headers) => {
    let gave: unknown;
    try {
      gave = step(headers);
    } catch (error) {
      gave = error instanceof TypeError ? "TypeError" : error;
    }
    return { gave, names: [...headers.keys()], values: [...headers.values()], pairs: [...headers] };
  });
  expect(own).toEqual(nodes);
}

describe("headers of calls", () => {
  it("are set, added to, removed and found as Node's are, whatever the case of a name", () => {
    both((headers) => {
      headers.append("X-B", " two ");
      headers.append("x-b", "three\t");
      headers.set("A-1", "");
      headers.set("gone", "1");
      headers.delete("GONE");
      headers.delete("never there");
    });
    both((headers) => {
      headers.append("x-b", "1");
      headers.append("X-B", "2");
      headers.set("x-c", "a");
      headers.set("X-C", "b");
      return [headers.get("X-b"), headers.get("x-d"), headers.has("X-C"), headers.has("x-d")];
    });
  });

  it("keep each cookie apart and the others in the order of their names", () => {
    both((headers) => {
      for (const [name, value] of [
        ["z", "1"],
        ["Set-Cookie", "a=1"],
        ["b", "2"],
        ["set-cookie", "b=2"],
      ] as const) {
        headers.append(name, value);
      }
      const seen: unknown[] = [];
      headers.forEach((value, name) => {
        seen.push([name, value]);
      });
      return [headers.get("set-cookie"), headers.getSetCookie(), seen];
    });
  });

  it.each(["", "a b", "a:b", "ä", "a\n"])("refuse the name %j", (name) => {
    both((headers) => headers.append(name, "1"));
    both((headers) => headers.get(name));
  });

  it.each(["a\nb", "a\rb", "a\0", "\u0100", "\xff", "a\tb", "\n a \r\n", "\x7f"])(
    "judge the value %j",
    (value) => {
      both((headers) => headers.set("a", value));
    },
  );

  it.each([
    { a: "1", B: "2" },
    [
      ["a", "1"],
      ["A", "2"],
    ],
    [["a"]],
    [["a", "1", "2"]],
    new Headers({ a: "1" }),
    undefined,
  ])("are made from %j", (given) => {
    const made = (Kind: typeof Headers | typeof CallHeaders) => {
      try {
        return [...new Kind(given as [string, string][])];
      } catch (error) {
        return error instanceof TypeError ? "TypeError" : error;
      }
    };
    expect(made(CallHeaders)).toEqual(made(Headers));
    expect([...new CallHeaders(new CallHeaders({ x: "1" }))]).toEqual([["x", "1"]]);
  });
});
