/**
 * The metadata of calls: Headers of the Fetch Standard (https://fetch.spec.whatwg.org/#headers-class, guard "none"). The bundle gives it to ConnectRPC in place of
 * Node's, which at its first use loads all of undici: 13 ms, and only for calls inside this process (docs/design/0014-start.md).
 */

/** RFC 9110 5.6.2. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Bytes, without those that end a field. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: fields may have most of them
const VALUE = /^[\x01-\x09\x0b\x0c\x0e-\xff]*$/;
const AROUND = /^[\t\n\r ]+|[\t\n\r ]+$/g;
/** The one field whose values are never joined. */
const COOKIE = "set-cookie";

type Given = Iterable<Iterable<string>> | Record<string, string>;

export class CallHeaders implements Headers {
  readonly #values = new Map<string, string[]>();

  /** @throws TypeError for a name or a value that no field has, and for pairs that are none */
  constructor(given?: Given) {
    if (given === undefined) return;
    const isList = Symbol.iterator in given;
    for (const pair of isList ? (given as Iterable<Iterable<string>>) : Object.entries(given)) {
      const [name, value, ...more] = pair;
      if (name === undefined || value === undefined || more.length > 0) {
        throw new TypeError("headers are pairs of a name and a value");
      }
      this.append(name, value);
    }
  }

  append(name: string, value: string): void {
    const key = keyOf(name);
    const known = this.#values.get(key);
    if (known) known.push(valueIn(value));
    else this.#values.set(key, [valueIn(value)]);
  }

  delete(name: string): void {
    this.#values.delete(keyOf(name));
  }

  get(name: string): string | null {
    return this.#values.get(keyOf(name))?.join(", ") ?? null;
  }

  getSetCookie(): string[] {
    return [...(this.#values.get(COOKIE) ?? [])];
  }

  has(name: string): boolean {
    return this.#values.has(keyOf(name));
  }

  set(name: string, value: string): void {
    this.#values.set(keyOf(name), [valueIn(value)]);
  }

  forEach(each: (value: string, name: string, parent: Headers) => void, self?: unknown): void {
    for (const [name, value] of this) each.call(self, value, name, this);
  }

  *entries(): ReturnType<Headers["entries"]> {
    const names = [...this.#values.keys()].sort();
    for (const name of names) {
      const values = this.#values.get(name) ?? [];
      if (name !== COOKIE) yield [name, values.join(", ")];
      else for (const value of values) yield [name, value];
    }
  }

  *keys(): ReturnType<Headers["keys"]> {
    for (const [name] of this) yield name;
  }

  *values(): ReturnType<Headers["keys"]> {
    for (const [, value] of this) yield value;
  }

  [Symbol.iterator](): ReturnType<Headers["entries"]> {
    return this.entries();
  }
}

function keyOf(name: string): string {
  if (!NAME.test(name)) throw new TypeError(`"${name}" is not the name of a header`);
  return name.toLowerCase();
}

function valueIn(given: string): string {
  const value = `${given}`.replace(AROUND, "");
  if (!VALUE.test(value)) throw new TypeError("a header's value has bytes that no header has");
  return value;
}
