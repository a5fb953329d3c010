/** Who imports whom, types included, and what of that the rooms forbid. */
import { dirname, join, normalize } from "node:path";
import { parseSync } from "oxc-parser";

/** Specifiers that a TypeScript source names: imports, re-exports, import() and import types. */
export function specifiers(file, source) {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const found = new Set();
  visit(program, found);
  return [...found];
}

const IMPORTING = new Set([
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
  "TSImportType",
]);

function visit(node, found) {
  if (Array.isArray(node)) {
    for (const item of node) visit(item, found);
  } else if (node !== null && typeof node === "object") {
    if (IMPORTING.has(node.type) && typeof node.source?.value === "string") found.add(node.source.value);
    for (const value of Object.values(node)) visit(value, found);
  }
}

/**
 * @param {Map<string, string>} sources path relative to the checkout -> text
 * @returns {{ graph: Map<string, string[]>, problems: string[] }} edges between these files; imports of files that are not there
 */
export function importGraph(sources) {
  const graph = new Map();
  const problems = [];
  for (const [file, source] of sources) {
    const targets = specifiers(file, source)
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => normalize(join(dirname(file), specifier)));
    for (const target of targets.filter((path) => /\.ts$/.test(path) && !sources.has(path))) {
      problems.push(`${file}: imports ${target}, which is not there`);
    }
    graph.set(
      file,
      targets.filter((path) => sources.has(path)),
    );
  }
  return { graph, problems };
}

/** A plain folder name means all below it. */
const toPattern = (room) => new RegExp(`^src/${room}${/^[a-z/]+$/.test(room) ? "/" : ""}`);

const isTest = (path) => path.endsWith(".test.ts") || path.startsWith("test/");

/** @returns {string[]} one line for each forbidden import and each file without a room */
export function roomViolations(graph, rooms) {
  const problems = [];
  const patterns = Object.entries(rooms).map(([room, allowed]) => ({
    room,
    own: toPattern(room),
    allowed: [room, ...allowed].map(toPattern),
  }));
  for (const [file, targets] of graph) {
    if (!file.startsWith("src/")) continue;
    const place = patterns.find(({ own }) => own.test(file));
    if (place === undefined) problems.push(`${file}: in no room; rooms are named in scripts/rooms.mjs`);
    if (isTest(file)) continue;
    for (const target of targets) {
      if (isTest(target)) problems.push(`${file}: imports the test ${target}`);
      else if (place !== undefined && !place.allowed.some((pattern) => pattern.test(target))) {
        problems.push(`${file}: room ${place.room} may not import ${target}`);
      }
    }
  }
  return problems;
}

/** @returns {string[][]} one cycle for each file that closes one, first file repeated at the end */
export function cycles(graph) {
  const state = new Map();
  const found = [];
  const path = [];
  const walk = (file) => {
    state.set(file, "open");
    path.push(file);
    for (const target of graph.get(file) ?? []) {
      if (state.get(target) === "open") found.push([...path.slice(path.indexOf(target)), target]);
      else if (!state.has(target)) walk(target);
    }
    path.pop();
    state.set(file, "done");
  };
  for (const file of graph.keys()) if (!state.has(file)) walk(file);
  return found;
}
