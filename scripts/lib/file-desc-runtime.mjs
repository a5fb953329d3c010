/** In the bundle in place of fileDesc() of @bufbuild/protobuf; what it is given is made by file-desc.mjs. */
import { createFileRegistry } from "@bufbuild/protobuf";

/**
 * `text`: JSON, { file, kinds }: the fields of a FileDescriptorProto that are set, and of each kind of message in it [defaults, names of its
 * lists, kinds of its messages by the name of their field]. `imports`: the files that it imports.
 */
export function fileOf(text, imports = []) {
  const proto = protoOf(text);
  proto.dependency = imports.map((each) => each.proto.name);
  const registry = createFileRegistry(proto, (name) => imports.find((each) => each.proto.name === name));
  return registry.getFile(proto.name);
}

/** The FileDescriptorProto. */
export function protoOf(text) {
  const { file, kinds } = JSON.parse(text);
  const message = (fields, kind) => {
    const [defaults, lists, inner] = kinds[kind];
    const made = Object.create(defaults);
    made.$typeName = kind;
    for (const name of lists) made[name] = [];
    for (const name of Object.keys(fields)) {
      const value = fields[name];
      const within = inner[name];
      if (within === undefined) made[name] = value;
      else if (Array.isArray(value)) made[name] = value.map((each) => message(each, within));
      else made[name] = message(value, within);
    }
    return made;
  };
  return message(file, "google.protobuf.FileDescriptorProto");
}
