/** Backends for endpoints without an engine. One line each; their packages are loaded by the first call that needs them. */

import type { EndpointLoaders } from "../backend/registry.ts";

export const endpoints: EndpointLoaders = {
  local: async () => (await import("./local-endpoint.ts")).openLocal,
  http: async () => (await import("../backend/http/backend.ts")).openHttp,
  s3: async () => (await import("../backend/s3/backend.ts")).openS3,
  ftp: async () => (await import("../backend/ftp/backend.ts")).openFtp,
  sftp: async () => (await import("../backend/sftp/backend.ts")).openSftp,
  webdav: async () => (await import("../backend/webdav/backend.ts")).openWebdav,
};
