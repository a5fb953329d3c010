/** versitygw, an S3 server that checks signatures, over a folder. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { findProgram, freePort, HERE, type ServerPlace, serverFolder, startProgram } from "./program.ts";

export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Holds a folder, or a link to one, for each bucket; a file written there is an object. */
  readonly data: string;
  stop(): Promise<void>;
}

/** Why it cannot be started; undefined when it can. */
export const available = () =>
  findProgram("versitygw") ? undefined : "versitygw is not built (npm test does it where Go is)";

/** With no bucket yet. */
export async function startVersitygw({
  place = HERE,
}: {
  readonly place?: ServerPlace | undefined;
} = {}): Promise<S3Server> {
  const folder = await serverFolder("s3");
  const port = await freePort();
  const keys = { accessKeyId: "AKPACKETBOAT", secretAccessKey: "only-for/this+test=0123456789" };
  const region = "us-east-1";
  const data = join(folder, "data");
  await mkdir(data);
  const running = await startProgram({
    program: findProgram("versitygw") ?? "versitygw",
    args: [
      "--port",
      `${place.address}:${port}`,
      "--region",
      region,
      "--quiet",
      "posix",
      "--bucketlinks",
      data,
    ],
    env: { ROOT_ACCESS_KEY_ID: keys.accessKeyId, ROOT_SECRET_ACCESS_KEY: keys.secretAccessKey },
    port,
    place,
    folder,
  });
  return {
    ...keys,
    region,
    data,
    endpoint: `http://${place.address}:${port}`,
    stop: running.stop,
    [Symbol.asyncDispose]: running.stop,
  };
}
