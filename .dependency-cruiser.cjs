/**
 * The rooms and what each may import (docs/ARCHITECTURE.md). A room may always import itself. Tests beside the code may
 * reach into other rooms; nothing may import a test.
 */
const ROOMS = {
  model: [],
  gen: [],
  native: ["model"],
  wire: ["model", "gen", "native/types\\.ts"],
  credential: ["model"],
  // backend.ts and registry.ts: the contract.
  "backend/[^/]+\\.ts$": ["model", "gen", "native/(types|root)\\.ts", "backend/[^/]+\\.ts"],
  "backend/wrap": ["model", "backend/[^/]+\\.ts"],
  "backend/conformance": ["model", "backend/[^/]+\\.ts"],
  "backend/local": ["model", "native", "backend/[^/]+\\.ts", "backend/wrap"],
  "backend/pb": ["model", "native", "gen", "wire", "backend/[^/]+\\.ts", "backend/wrap"],
  route: ["model"],
  plan: ["model"],
  checkpoint: ["model"],
  run: ["model", "gen", "wire", "native/(types|root)\\.ts", "backend/backend\\.ts", "plan", "route", "checkpoint"],
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
  "cli/(?!main\\.ts)": ["model", "gen", "cli"],
  "cli/main\\.ts": ["model", "gen", "cli", "daemon"],
};

/** A plain folder name means all below it. */
const pattern = (room) => `^src/${room}${/^[a-z/]+$/.test(room) ? "/" : ""}`;

const rooms = Object.entries(ROOMS).map(([room, allowed]) => ({
  name: `room ${room}`,
  severity: "error",
  from: { path: pattern(room), pathNot: "\\.test\\.ts$" },
  to: { path: "^(src|test|bench)/", pathNot: [room, ...allowed].map(pattern) },
}));

module.exports = {
  forbidden: [
    ...rooms,
    { name: "no cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "nothing imports a test",
      severity: "error",
      from: { pathNot: "\\.test\\.ts$|^test/" },
      to: { path: "\\.test\\.ts$|^test/" },
    },
    {
      name: "every file of src has a room",
      severity: "error",
      from: { path: "^src/", pathNot: Object.keys(ROOMS).map(pattern) },
      to: {},
    },
    { name: "unresolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "cli/main.ts is the top",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^src/cli/main\\.ts$" },
    },
  ],
  options: {
    // TypeScript 7 has no parser API; swc's sees type imports too.
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { extensions: [".ts", ".js", ".mjs"], exportsFields: ["exports"], conditionNames: ["import", "node", "default"] },
  },
};
