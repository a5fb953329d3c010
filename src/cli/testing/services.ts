import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { FileService } from "../../gen/packetboat/v1/file_pb.ts";
import { JobService } from "../../gen/packetboat/v1/job_pb.ts";
import { TransferService } from "../../gen/packetboat/v1/transfer_pb.ts";
import { type Entry, EntryKind, EntrySchema } from "../../gen/packetboat/v1/types_pb.ts";
import type {
  Check,
  ClientInfo,
  CredentialActions,
  CredentialInfo,
  InviteInfo,
  RemoteInfo,
} from "../../model/actions.ts";
import { Secret } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import { pathBytes, pathText } from "../../model/path.ts";
import { toConnectError } from "../../wire/connect.ts";
import type { Running } from "../run.ts";

export interface FakeServices {
  readonly files?: Partial<ServiceImpl<typeof FileService>>;
  readonly transfers?: Partial<ServiceImpl<typeof TransferService>>;
  readonly jobs?: Partial<ServiceImpl<typeof JobService>>;
  readonly checks?: readonly Check[];
  readonly remotes?: readonly RemoteInfo[];
  /** What remotes and credentials are given. */
  readonly onEndpoint?: (given: {
    readonly name: string;
    readonly kind?: string;
    readonly settings?: object;
    readonly secrets: ReadonlyMap<string, Secret>;
  }) => void;
}

export const REMOTE: RemoteInfo = {
  name: "box",
  type: "pb",
  address: "box.example:7373",
  fingerprint: "ab".repeat(32),
  clientId: "c1",
  readOnly: false,
  path: "/",
  expiresAt: "2027-01-01T00:00:00Z",
};

const INVITE: InviteInfo = {
  invite: "pb1:box.example:7373:token",
  expiresAt: "2026-01-01T00:00:00Z",
  uses: 1,
  readOnly: false,
  path: "/",
};

const CLIENT: ClientInfo = {
  id: "c1",
  name: "laptop",
  enrolledAt: "2026-01-01T00:00:00Z",
  lastSeenAt: "",
  expiresAt: "2099-01-01T00:00:00Z",
  readOnly: true,
  path: "/",
  revoked: false,
};

/** Services for tests of the commands: real clients on ConnectRPC's in-memory transport, the given handlers behind. */
export function fakeServices(fake: FakeServices = {}): Running {
  const transport = createRouterTransport(({ service }) => {
    service(FileService, fake.files ?? {});
    service(TransferService, fake.transfers ?? {});
    service(JobService, fake.jobs ?? {});
  });
  const remotes = fake.remotes ?? [REMOTE];
  const credentials = fakeCredentials(fake);
  const running: Running = {
    files: createClient(FileService, transport),
    transfers: createClient(TransferService, transport),
    jobs: createClient(JobService, transport),
    remotes: {
      demandFree: async () => undefined,
      add: async (name) => ({ ...REMOTE, name }),
      list: async () => [...remotes],
      remove: async (name) => ({ ...REMOTE, name }),
      addEndpoint: async (name, { kind, settings, secrets }) => {
        fake.onEndpoint?.({ name, kind, settings, secrets });
        return { ...REMOTE, name, type: kind, settings };
      },
      show: async (name) => ({ ...REMOTE, name }),
      allow: async () => undefined,
      rename: async (_, name) => ({ ...REMOTE, name }),
      async *test() {
        yield* fake.checks ?? [];
      },
    },
    credentials,
    storeOf: () => ({ remotes: running.remotes, credentials }),
    server: {
      serve: async ({ onReady }) => {
        onReady({ host: "::", port: 7373, fingerprint: "ab", invite: INVITE.invite, state: "/state" });
      },
      invite: async () => INVITE,
      clients: async () => [CLIENT],
      defaultState: () => "/state",
      revoke: async () => ({ ...CLIENT, revoked: true }),
    },
    doctor: {
      async *check() {
        yield* fake.checks ?? [];
      },
    },
    close: async () => undefined,
  };
  return running;
}

const CREDENTIAL: CredentialInfo = {
  name: "nas",
  kind: "password",
  createdAt: "2026-01-01T00:00:00Z",
  secrets: ["password"],
  usedBy: ["nas"],
};

function fakeCredentials(fake: FakeServices): CredentialActions {
  return {
    state: async () => ({ form: "sealed", locked: false, file: "/home/credentials.age" }),
    list: async () => [CREDENTIAL],
    show: async (name) => ({ ...CREDENTIAL, name, values: new Map([["password", new Secret("hunter2")]]) }),
    add: async (name, { secrets }) => {
      fake.onEndpoint?.({ name, secrets });
      return { ...CREDENTIAL, name };
    },
    edit: async (name, { secrets }) => {
      fake.onEndpoint?.({ name, secrets });
      return { ...CREDENTIAL, name };
    },
    remove: async (name) => ({ ...CREDENTIAL, name }),
    import: async () => ({ remotes: ["a"], credentials: ["a"], skipped: [{ name: "b", why: "no" }] }),
    export: async () => ({ sealed: "sealed", leftOut: ["box"] }),
    lock: async () => undefined,
    unlock: async () => undefined,
    rekey: async () => undefined,
    issueToken: async ({ subject, scopes }) => ({
      token: new Secret("a.b.c"),
      id: "id",
      subject,
      scopes,
      expiresAt: "2026-01-01T00:00:00Z",
      audience: "urn:x",
    }),
    revokeToken: async () => undefined,
    rotateTokenKey: async () => undefined,
    givenPassphrase: async () => new Secret("phrase"),
    passphraseForChild: () => undefined,
  };
}

/** A tree by absolute path; a path with a slash at its end is a folder. */
export function fakeFiles(tree: Readonly<Record<string, number>>): Partial<ServiceImpl<typeof FileService>> {
  const known = new Map(
    Object.entries(tree).map(([path, size]) => [path.replace(/(.)\/$/, "$1"), { path, size }]),
  );
  const find = (path: string): Entry => {
    const found = known.get(path);
    if (!found) throw toConnectError(new PbError("not_found", "no such file or folder", { path }));
    return entry("", found.path.endsWith("/") ? EntryKind.DIRECTORY : EntryKind.FILE, found.size);
  };
  return {
    stat: ({ location }) => ({ entry: find(pathText(location?.path ?? new Uint8Array())) }),
    async *list({ location, recursive, maxDepth }) {
      const top = pathText(location?.path ?? new Uint8Array());
      if (find(top).kind !== EntryKind.DIRECTORY) {
        throw toConnectError(new PbError("not_a_directory", "not a folder", { path: top }));
      }
      const prefix = top === "/" ? "/" : `${top}/`;
      const depth = recursive ? maxDepth || Number.POSITIVE_INFINITY : 1;
      const below = [...known].filter(([path]) => path.startsWith(prefix) && path !== top);
      const entries = below
        .map(([path, { path: given, size }]) =>
          entry(path.slice(prefix.length), given.endsWith("/") ? EntryKind.DIRECTORY : EntryKind.FILE, size),
        )
        .filter(({ path }) => pathText(path).split("/").length <= depth);
      yield { entries };
    },
  };
}

export function entry(path: string, kind: EntryKind, size: number): Entry {
  return create(EntrySchema, {
    path: pathBytes(path),
    kind,
    size: BigInt(size),
    mtimeNs: 1_700_000_000_123_456_789n,
    mode: kind === EntryKind.DIRECTORY ? 0o755 : 0o644,
  });
}
