import type { WebClient } from "../web/client.ts";

const REMOVE_TIMEOUT_MS = 10_000;

/** With a signal of its own: what is removed is what a caller that gave up leaves. */
export async function removeQuietly(client: WebClient, path: string): Promise<void> {
  const signal = AbortSignal.timeout(REMOVE_TIMEOUT_MS);
  await client.send({ method: "DELETE", path, allow: [404], signal }).then(
    (answer) => answer.drop(),
    () => {},
  );
}
