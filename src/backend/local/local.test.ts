import { openRoot } from "../../native/root.ts";
import { folderPlace } from "../conformance/fixture.ts";
import { backendSuite } from "../conformance/suite.ts";
import { createLocalBackend } from "./backend.ts";

backendSuite("local", async () => {
  const place = await folderPlace();
  const root = await openRoot({ directory: place.root, resolve: "beneath", writable: true });
  const backend = createLocalBackend({ root });
  return {
    backend,
    place,
    async [Symbol.asyncDispose]() {
      await backend.close();
      await place[Symbol.asyncDispose]();
    },
  };
});
