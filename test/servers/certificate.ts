import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export interface TestCertificate {
  /** Files. */
  readonly certificate: string;
  readonly key: string;
  readonly pem: string;
}

/** Signed by itself, for 127.0.0.1 and localhost; no authority for others, which strict clients (rustls) would not take for a server's. */
export async function makeCertificate(folder: string): Promise<TestCertificate> {
  const certificate = join(folder, "server.crt");
  const key = join(folder, "server.key");
  const subject = [
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const args = [
    "req",
    "-x509",
    "-nodes",
    ...curve,
    "-days",
    "2",
    "-keyout",
    key,
    "-out",
    certificate,
    ...subject,
  ];
  const made = spawnSync("openssl", args, { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`openssl req: ${made.stderr}`);
  return { certificate, key, pem: await readFile(certificate, "utf8") };
}
