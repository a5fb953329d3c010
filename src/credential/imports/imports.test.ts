import { describe, expect, it } from "vitest";
import { checkSettings } from "../endpoint-remotes.ts";
import { importAws } from "./aws.ts";
import type { Imported } from "./imported.ts";
import { importNetrc } from "./netrc.ts";
import { importRclone, unobscure } from "./rclone.ts";
import { importSshConfig } from "./ssh-config.ts";

/** Everything, secrets too, as it can be compared. */
function plain({ remotes, credentials, skipped }: Imported) {
  for (const { kind, settings } of remotes) checkSettings(kind, settings);
  const open = credentials.map(({ secrets, ...rest }) => ({
    ...rest,
    secrets: Object.fromEntries([...secrets].map(([name, secret]) => [name, secret.reveal()])),
  }));
  return { remotes, credentials: open, skipped: skipped.map(({ name }) => name) };
}

describe("rclone.conf", () => {
  it("has its passwords read, as rclone wrote them", () => {
    // fs/config/obscure/obscure_test.go of rclone, then one that its program made.
    expect(unobscure("YWFhYWFhYWFhYWFhYWFhYQ")).toBe("");
    expect(unobscure("YWFhYWFhYWFhYWFhYWFhYXMaGgIlEQ")).toBe("potato");
    expect(unobscure("YmJiYmJiYmJiYmJiYmJiYp3gcEWbAw")).toBe("potato");
    expect(unobscure("WzNTKkMEDYjL2pan2jgkARtILw-m940")).toBe("hunter2");
    for (const bad of ["", "x", "not base64!", "AAAA"]) expect(() => unobscure(bad)).toThrow();
  });

  it("becomes remotes with their secrets", () => {
    const text = `
# comment
[nas]
type = sftp
host = nas.example
user = me
port = 2222
pass = YWFhYWFhYWFhYWFhYWFhYXMaGgIlEQ
key_use_agent = false

[my store]
type = s3
provider = Minio
access_key_id = AK
secret_access_key = SK=with=equals
endpoint = s3.example:9000
force_path_style = true
region =
[dav]
type = webdav
url = https://dav.example/x
user = u
pass = YWFhYWFhYWFhYWFhYWFhYXMaGgIlEQ
[old]
type = ftp
host = ftp.example
explicit_tls = true
[g]
type = drive
token = {"access_token":"x"}
[bad]
type = ftp
host = h
pass = plain text
`;
    expect(plain(importRclone(text, "f"))).toEqual({
      remotes: [
        {
          name: "nas",
          kind: "sftp",
          settings: { host: "nas.example", port: 2222, user: "me", agent: false },
        },
        { name: "my-store", kind: "s3", settings: { endpoint: "https://s3.example:9000", path_style: true } },
        { name: "dav", kind: "webdav", settings: { url: "https://dav.example/x", user: "u" } },
        { name: "old", kind: "ftp", settings: { host: "ftp.example", tls: "explicit" } },
      ],
      credentials: [
        { name: "nas", secrets: { password: "potato" } },
        { name: "my-store", secrets: { access_key_id: "AK", secret_access_key: "SK=with=equals" } },
        { name: "dav", secrets: { password: "potato" } },
      ],
      skipped: ["g", "bad"],
    });
  });

  it("is refused when rclone has encrypted it", () => {
    const encrypted = "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nAAAA\n";
    expect(() => importRclone(encrypted, "f")).toThrow(expect.objectContaining({ code: "unsupported" }));
  });
});

describe("~/.aws", () => {
  it("gives a remote for each profile with a key", () => {
    const credentials =
      "[default]\naws_access_key_id = A\naws_secret_access_key = S\n[x]\naws_session_token=T\n";
    const config =
      "[default]\nregion = eu-central-1\n[profile x]\nendpoint_url=https://e\naws_access_key_id=B\naws_secret_access_key=S/+=\n[profile sso]\nsso_session = s\n";
    expect(plain(importAws({ credentials, config }))).toEqual({
      remotes: [
        { name: "aws", kind: "s3", settings: { region: "eu-central-1" } },
        { name: "x", kind: "s3", settings: { endpoint: "https://e" } },
      ],
      credentials: [
        { name: "aws", secrets: { access_key_id: "A", secret_access_key: "S" } },
        { name: "x", secrets: { access_key_id: "B", secret_access_key: "S/+=", session_token: "T" } },
      ],
      skipped: ["sso"],
    });
  });
});

describe(".netrc", () => {
  it("gives passwords by host; those for any host are left", () => {
    const text = `machine A.example login me password p#1
# machine no.example password no
machine b.example
  password "with space \\" quote"
macdef init
  put password secret
  machine c.example

machine d.example login x account y
default login anonymous password guest
`;
    expect(plain(importNetrc(text))).toEqual({
      remotes: [],
      credentials: [
        { name: "me@a.example", host: "a.example", user: "me", secrets: { password: "p#1" } },
        { name: "b.example", host: "b.example", secrets: { password: 'with space " quote' } },
      ],
      skipped: ["default", "d.example"],
    });
  });
});

describe("~/.ssh/config", () => {
  it("gives a remote for each host without a pattern; the first value counts", () => {
    const text = `
Host nas n2
  HostName %h.example
  Port 2222
  IdentityFile ~/.ssh/id_%r
Host far
  ProxyJump nas
Host *.example !not
  User nobody
Match user root
  Port 9
Host "*"
  User=me
  Port 22
  UserKnownHostsFile ~/k ~/k2
Match all
  IdentitiesOnly yes
`;
    const { remotes, skipped } = importSshConfig(text, { home: "/home/me", user: "local" });
    const common = { port: 2222, user: "me", known_hosts: "/home/me/k", agent: false };
    expect(remotes).toEqual([
      {
        name: "nas",
        kind: "sftp",
        settings: { host: "nas.example", ...common, key_file: "/home/me/.ssh/id_me" },
      },
      {
        name: "n2",
        kind: "sftp",
        settings: { host: "n2.example", ...common, key_file: "/home/me/.ssh/id_me" },
      },
    ]);
    expect(skipped.map(({ name }) => name)).toEqual(["far"]);
  });
});
