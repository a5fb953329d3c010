import { readText, replaceFile } from "../credential/files.ts";
import { PbError } from "../model/error.ts";
import { DEFAULT_PORT } from "./addresses.ts";

/** How a server was started last, so that `pb invite` can say where it is, and `pb credentials token` what it has. */
export interface Bound {
  readonly host: string;
  readonly port: number;
  readonly advertise: readonly string[];
  /** Names of its roots, "" for the one without; absent where nobody has written them. */
  readonly roots?: readonly string[];
}

export function writeBound(file: string, { host, port, advertise, roots }: Bound): Promise<void> {
  return replaceFile(file, `${JSON.stringify({ host, port, advertise, roots })}\n`);
}

/** The defaults before a first start. @throws PbError `invalid_argument` for a file that is damaged */
export async function readBound(file: string): Promise<Bound> {
  let text: string;
  try {
    text = await readText(file);
  } catch (error) {
    if (error instanceof PbError && error.code === "not_found") {
      return { host: "::", port: DEFAULT_PORT, advertise: [] };
    }
    throw error;
  }
  try {
    const { host, port, advertise, roots } = JSON.parse(text) as Partial<Bound>;
    if (typeof host === "string" && typeof port === "number" && Array.isArray(advertise)) {
      return { host, port, advertise, ...(Array.isArray(roots) && { roots }) };
    }
  } catch {
    // Told below, with what to do.
  }
  throw new PbError("invalid_argument", `${file} is damaged`, {
    path: file,
    hint: "remove it and start the server again",
  });
}
