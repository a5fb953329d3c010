/** Bytes into an upload under way. */

import { PbError } from "../../model/error.ts";
import { isRefusal } from "./calls.ts";
import { reason, type Transfer } from "./connection.ts";
import type { Control } from "./control.ts";

/** Resolves when it has left this process; the server confirms all at the end. */
export function push({ data, final }: Transfer, bytes: Uint8Array): Promise<void> {
  const written = new Promise<void>((resolve, reject) => {
    data.write(bytes, (error) => {
      if (error) reject(new PbError("connection_lost", "the data connection was lost", { cause: error }));
      else resolve();
    });
  });
  // A server that takes no more says why on the control connection, which may be heard first.
  const refused = final.then(() => {
    throw new PbError("connection_lost", "the server ended the transfer before its end");
  });
  refused.catch(() => {});
  return Promise.race([written, refused]).catch(async (error: unknown) => {
    throw isRefusal(error) ? error : await reason(final, error);
  });
}

/** Only then the server says that it has all. */
export async function finish({ data, final }: Transfer, control: Control): Promise<void> {
  control.alive();
  data.resume();
  data.end();
  await final;
  data.destroy();
}
