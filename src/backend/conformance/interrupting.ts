import { expect, test } from "vitest";
import { collect, type Fixture, never, refused, type Traits } from "./fixture.ts";

export function interrupting(current: () => Fixture, { requestPerEntry = false }: Traits): void {
  test("before it starts, when the signal is aborted already", async () => {
    const { backend, place } = current();
    await place.write("f", "");
    const signal = AbortSignal.abort();
    await refused("aborted", collect(backend.list("", { recursive: true, follow: false, signal })));
    await refused("aborted", backend.stat("f", { follow: true, signal }));
    await refused("aborted", backend.mkdir("d", { parents: false, signal }));
    await refused("aborted", backend.touch("g", { create: true, signal }));
    await refused("aborted", backend.rename("f", "h", { replace: false, signal }));
    await refused("aborted", backend.remove("f", { recursive: true, signal }));
    expect(await place.exists("f")).toBe(true);
    expect(await place.exists("d")).toBe(false);
    expect(await place.exists("g")).toBe(false);
  });

  test("in the middle of a listing", async () => {
    const { backend, place } = current();
    await place.write("f", "");
    await place.fill("many", requestPerEntry ? 1_100 : 2_500);
    const controller = new AbortController();
    const batches = backend
      .list("many", { recursive: true, follow: false, signal: controller.signal })
      [Symbol.asyncIterator]();
    expect((await batches.next()).done).toBe(false);
    controller.abort();
    await refused("aborted", batches.next());
    // Breaking off without a signal ends it too.
    for await (const _ of backend.list("many", { recursive: true, follow: false, signal: never })) break;
    expect((await backend.stat("f", { follow: false, signal: never })).kind).toBe("file");
  });

  test("with close, twice", async () => {
    const { backend, place } = current();
    await place.write("f", "");
    await backend.close();
    await backend.close();
    await refused("aborted", backend.stat("f", { follow: true, signal: never }));
    await refused("aborted", collect(backend.list("", { recursive: false, follow: false, signal: never })));
  });
}
