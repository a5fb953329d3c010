import { PbError } from "../model/error.ts";

export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** @throws PbError `invalid_argument` unless HOST:PORT or [IPv6]:PORT */
export function parseAddress(text: string, defaultPort?: number): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port === undefined || port > 65_535) {
    throw new PbError("invalid_argument", `${text} is not an address of the form HOST:PORT or [IPv6]:PORT`, {
      peer: text,
    });
  }
  return { host, port };
}

export function formatAddress({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
