/**
 * esbuild plugin: the descriptors in what protobuf generates are parsed by the build. fileDesc() of @bufbuild/protobuf parses them at each
 * start, for which it has to make the descriptor of descriptors first.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { protoOf } from "./file-desc-runtime.mjs";
import { ROOT } from "./tools.mjs";

const RUNTIME = join(ROOT, "scripts/lib/file-desc-runtime.mjs");
const CALL = /\bfileDesc\("([A-Za-z0-9+/=]+)"/g;

export const fileDescs = {
  name: "file-desc",
  setup(build) {
    build.onLoad({ filter: /_pb\.[jt]s$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      if (source.search(CALL) < 0) return undefined;
      const text = source.replace(CALL, (_, base64) => `fileOf(${JSON.stringify(parsed(base64))}`);
      const contents = `import { fileOf } from ${JSON.stringify(RUNTIME)};${text}`;
      return { contents, loader: path.endsWith(".ts") ? "ts" : "js" };
    });
  },
};

/** What `fileOf` takes. */
function parsed(base64) {
  const proto = fromBinary(FileDescriptorProtoSchema, base64Decode(base64));
  proto.messageType.forEach(nameInJson);
  const kinds = {};
  const text = JSON.stringify({ file: fieldsOf(FileDescriptorProtoSchema, proto, kinds), kinds });
  const bytes = (each) => Buffer.from(toBinary(FileDescriptorProtoSchema, each));
  if (!bytes(protoOf(text)).equals(bytes(proto)))
    throw new Error(`file-desc: ${proto.name} is not what it was`);
  return text;
}

/** What fileDesc() adds too: generated code leaves names in JSON out where they follow from the name. */
function nameInJson({ field, nestedType }) {
  for (const each of field) {
    if (!Object.hasOwn(each, "jsonName")) each.jsonName = protoCamelCase(each.name);
  }
  nestedType.forEach(nameInJson);
}

/** Those that are set, of this message and of those in it, whose kinds are noted. */
function fieldsOf(schema, message, kinds) {
  kinds[schema.typeName] ??= kindOf(schema);
  const fields = Object.keys(message).filter((name) => name !== "$typeName" && !isEmptyList(message[name]));
  const plain = fields.map((name) => {
    const inner = schema.field[name].message;
    const each = (value) => (inner ? fieldsOf(inner, value, kinds) : value);
    return [name, Array.isArray(message[name]) ? message[name].map(each) : each(message[name])];
  });
  return Object.fromEntries(plain);
}

function kindOf(schema) {
  const empty = create(schema);
  const lists = Object.keys(empty).filter((name) => isEmptyList(empty[name]));
  const inner = schema.fields.filter(({ message }) => message);
  const kinds = inner.map(({ localName, message }) => [localName, message.typeName]);
  return [{ ...Object.getPrototypeOf(empty) }, lists, Object.fromEntries(kinds)];
}

function isEmptyList(value) {
  return Array.isArray(value) && value.length === 0;
}
