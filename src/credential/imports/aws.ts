/** `~/.aws/credentials` and `~/.aws/config`: a remote of kind s3 for each profile that holds a key. */

import { Secret, type Setting } from "../../model/endpoint.ts";
import type { EndpointRemote } from "../endpoint-remotes.ts";
import { type Imported, type ImportedCredential, remoteNameOf } from "./imported.ts";
import { parseIni } from "./ini.ts";

const KEYS = { aws_access_key_id: "access_key_id", aws_secret_access_key: "secret_access_key" } as const;

/** The profile "default" becomes the remote "aws". */
export function importAws({
  credentials,
  config,
}: {
  readonly credentials: string;
  readonly config: string;
}): Imported {
  const profiles = new Map<string, Map<string, string>>();
  // In config a section is called "profile NAME", but for the default.
  for (const [section, options] of parseIni(config))
    profiles.set(section.replace(/^profile\s+/, ""), options);
  for (const [section, options] of parseIni(credentials)) {
    profiles.set(section, new Map([...(profiles.get(section) ?? []), ...options]));
  }
  const remotes: EndpointRemote[] = [];
  const found: ImportedCredential[] = [];
  const skipped: { name: string; why: string }[] = [];
  for (const [profile, options] of profiles) {
    const name = profile === "default" ? "aws" : remoteNameOf(profile);
    if (!Object.keys(KEYS).every((key) => options.get(key)) || name === "") {
      skipped.push({ name: profile, why: "it holds no key (set `profile` of a remote to use it as it is)" });
      continue;
    }
    const secrets = new Map(
      Object.entries({ ...KEYS, aws_session_token: "session_token" }).flatMap(([theirs, ours]) => {
        const value = options.get(theirs);
        return value ? [[ours, new Secret(value)] as const] : [];
      }),
    );
    const settings: Record<string, Setting> = {};
    const region = options.get("region");
    const endpoint = options.get("endpoint_url");
    if (region) settings.region = region;
    if (endpoint) settings.endpoint = endpoint;
    remotes.push({ name, kind: "s3", settings });
    found.push({ name, secrets });
  }
  return { remotes, credentials: found, skipped };
}
