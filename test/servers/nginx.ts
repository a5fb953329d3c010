/** nginx over a folder: ranges and indexes, and WebDAV where its dav-ext module is here. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findProgram, freePort, HERE, type ServerPlace, serverFolder, startProgram } from "./program.ts";

const DAV_EXT = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so";

export interface NginxOptions {
  /** PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND. Needs a module. */
  readonly dav?: boolean;
  /** A PUT makes the folders that are missing, which WebDAV forbids. */
  readonly makeParents?: boolean;
  /** With these every request needs them (Basic). `password` is written in the form `{PLAIN}…`. */
  readonly user?: { readonly name: string; readonly password: string };
  /** An existing folder to serve; default: a new one. */
  readonly root?: string;
  /** More lines for the server block. */
  readonly directives?: readonly string[];
  readonly place?: ServerPlace | undefined;
}

export interface NginxServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What it serves. */
  readonly root: string;
  stop(): Promise<void>;
}

/** Why it cannot be started; undefined when it can. */
export function available({ dav = false }: Pick<NginxOptions, "dav"> = {}): string | undefined {
  if (findProgram("nginx") === undefined) return "nginx is not installed";
  return !dav || existsSync(DAV_EXT) ? undefined : "libnginx-mod-http-dav-ext is not installed";
}

export async function startNginx(options: NginxOptions = {}): Promise<NginxServer> {
  const folder = await serverFolder("nginx");
  const { place = HERE } = options;
  const port = await freePort();
  const root = options.root ?? join(folder, "root");
  await mkdir(root, { recursive: true });
  if (options.user)
    await writeFile(join(folder, "users"), `${options.user.name}:{PLAIN}${options.user.password}\n`);
  const file = join(folder, "nginx.conf");
  await writeFile(file, configuration({ folder, port, root, options }));
  const running = await startProgram({
    program: findProgram("nginx") ?? "nginx",
    args: ["-c", file, "-p", folder, "-e", join(folder, "error.log")],
    port,
    place,
    folder,
  });
  return {
    url: `http://${place.address}:${port}/`,
    port,
    root,
    stop: running.stop,
    [Symbol.asyncDispose]: running.stop,
  };
}

function configuration({
  folder,
  port,
  root,
  options,
}: {
  readonly folder: string;
  readonly port: number;
  readonly root: string;
  readonly options: NginxOptions;
}): string {
  const own = process.getuid?.() === 0 ? "user root;" : "";
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const lines = [
    `listen ${(options.place ?? HERE).address}:${port};`,
    `root ${root};`,
    "autoindex on;",
    ...(options.user ? ['auth_basic "test";', `auth_basic_user_file ${folder}/users;`] : []),
    ...(options.dav
      ? [
          "dav_methods PUT DELETE MKCOL COPY MOVE;",
          "dav_ext_methods PROPFIND OPTIONS;",
          "client_max_body_size 0;",
          `create_full_put_path ${options.makeParents ? "on" : "off"};`,
        ]
      : []),
    ...(options.directives ?? []),
  ];
  return `${options.dav ? `load_module ${DAV_EXT};` : ""}
daemon off; master_process off; ${own}
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 512; }
http {
  access_log off; sendfile on; default_type application/octet-stream;
  ${temporary.join(" ")}
  server {
    ${lines.join("\n    ")}
  }
}
`;
}
