/**
 * The rooms of src/ and what each may import (docs/ARCHITECTURE.md). Keys and values are regular expressions at the start of a
 * path below src/; a plain folder name means all below it. A room may always import itself. Tests beside the code may reach
 * into other rooms; nothing may import a test. Checked by lint-rooms.mjs.
 */
export const ROOMS = {
  model: [],
  gen: [],
  native: ["model"],
  wire: ["model", "gen", "native/types\\.ts"],
  credential: ["model"],
  // backend.ts and registry.ts: the contract.
  "backend/[^/]+\\.ts$": ["model", "gen", "native/(types|root)\\.ts", "backend/[^/]+\\.ts"],
  "backend/wrap": ["model", "backend/[^/]+\\.ts"],
  "backend/conformance": ["model", "backend/[^/]+\\.ts"],
  "backend/web": ["model", "backend/[^/]+\\.ts"],
  "backend/http": ["model", "backend/[^/]+\\.ts", "backend/wrap", "backend/web"],
  "backend/sftp": ["model", "backend/[^/]+\\.ts", "backend/wrap"],
  "backend/ftp": ["model", "backend/[^/]+\\.ts", "backend/wrap"],
  "backend/s3": ["model", "backend/[^/]+\\.ts", "backend/wrap"],
  "backend/webdav": ["model", "backend/[^/]+\\.ts", "backend/wrap", "backend/web"],
  "backend/testing": [
    "model",
    "native/(types|root)\\.ts",
    "backend/local",
    "backend/[^/]+\\.ts",
    "backend/conformance",
  ],
  "backend/local": ["model", "native", "backend/[^/]+\\.ts", "backend/wrap"],
  // Who a server is, is decided in one place: credential/certificate.ts.
  "backend/pb": [
    "model",
    "native",
    "gen",
    "wire",
    "backend/[^/]+\\.ts",
    "backend/wrap",
    "credential/(certificate|address)\\.ts",
  ],
  route: ["model"],
  plan: ["model"],
  checkpoint: ["model"],
  run: [
    "model",
    "gen",
    "wire",
    "native/(types|root|pump)\\.ts",
    "backend/(backend|chunks)\\.ts",
    "backend/wrap",
    "plan",
    "route",
    "checkpoint",
  ],
  metrics: ["model", "gen"],
  daemon: [
    "model",
    "gen",
    "wire",
    "native",
    "backend",
    "credential",
    "route",
    "plan",
    "checkpoint",
    "run",
    "metrics",
  ],
  // wire/: the one mapping of errors, for servers and clients alike.
  "cli/(?!main\\.ts)": ["model", "gen", "wire/(connect|error)\\.ts", "cli/(?!main\\.ts)"],
  "cli/main\\.ts": ["model", "gen", "cli", "daemon"],
};
