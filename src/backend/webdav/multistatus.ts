/** The answer to PROPFIND (RFC 4918 section 13), read as it comes: a folder of a million files is some 400 MB of it. */
import sax from "sax";
import { pathText } from "../../model/path.ts";

export interface Resource {
  readonly href: string;
  readonly isCollection: boolean;
  /** Text of the properties that have any, by their names without a prefix; of those that the server says are there. */
  readonly properties: Readonly<Record<string, string>>;
}

/** A server that sends an element so long means no multistatus; nor does one that puts so many into each other. */
const MAX_TEXT_CHARS = 64 * 1024;
const MAX_DEPTH = 64;

export class NoMultistatus extends Error {}

/**
 * Calls `take` for each resource. A DTD, which WebDAV never needs, is refused: its entities could be anything.
 *
 * @throws NoMultistatus; what the body ends with
 */
export async function readMultistatus(
  body: AsyncIterable<Uint8Array>,
  take: (resource: Resource) => void,
): Promise<void> {
  const reader = multistatusReader(take);
  let rest: Uint8Array = new Uint8Array();
  for await (const piece of body) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    // Cut behind a tag: never within a character, and hardly ever within a text.
    const end = bytes.lastIndexOf(GREATER) + 1;
    if (bytes.length - end > MAX_TEXT_CHARS) throw new NoMultistatus("an element without an end");
    reader.write(pathText(bytes.subarray(0, end)));
    rest = bytes.subarray(end);
  }
  reader.end(pathText(rest));
}

const GREATER = ">".charCodeAt(0);

interface Propstat {
  status: string | undefined;
  isCollection: boolean;
  readonly properties: Record<string, string>;
}

interface Begun {
  href: string;
  isCollection: boolean;
  readonly properties: Record<string, string>;
}

function multistatusReader(take: (resource: Resource) => void) {
  const xml = sax.parser(true, { position: false });
  /** Names of the elements that are open, without prefixes: servers choose their own. */
  const path: string[] = [];
  let text = "";
  let response: Begun | undefined;
  let propstat: Propstat | undefined;
  let wasMultistatus = false;

  const refuse = (why: string): never => {
    throw new NoMultistatus(why);
  };

  function opened(name: string): void {
    path.push(name);
    text = "";
    if (path.length > MAX_DEPTH) refuse("too deep");
    if (path.length === 1) {
      if (name !== "multistatus") refuse(`it is <${name}>`);
      wasMultistatus = true;
    } else if (path.length === 2 && name === "response") {
      response = { href: "", isCollection: false, properties: Object.create(null) };
    } else if (path.length === 3 && name === "propstat") {
      propstat = { status: undefined, isCollection: false, properties: Object.create(null) };
    } else if (path.length === 6 && name === "collection" && path[4] === "resourcetype" && propstat) {
      propstat.isCollection = true;
    }
  }

  function closed(): void {
    const name = path.pop() ?? "";
    const said = text.trim();
    text = "";
    if (path.length === 2 && name === "href" && response) response.href = said;
    else if (path.length === 3 && name === "status" && propstat) propstat.status = said;
    else if (path.length === 4 && path[3] === "prop" && propstat && said !== "")
      propstat.properties[name] = said;
    else if (path.length === 2 && name === "propstat") joined();
    else if (path.length === 1 && name === "response" && response) {
      take(response);
      response = undefined;
    }
  }

  /** A property that is not there has a status of its own. */
  function joined(): void {
    const { status, isCollection, properties } = propstat ?? {};
    propstat = undefined;
    if (response === undefined || (status !== undefined && !/ 200( |$)/.test(status))) return;
    Object.assign(response.properties, properties);
    response.isCollection ||= isCollection === true;
  }

  function read(more: string): void {
    text += more;
    if (text.length > MAX_TEXT_CHARS) refuse("too long a text");
  }

  xml.onopentagstart = ({ name }) => opened(name.slice(name.indexOf(":") + 1));
  xml.onclosetag = closed;
  xml.ontext = read;
  xml.oncdata = read;
  xml.ondoctype = () => refuse("it has a DTD");
  xml.onerror = (error) => refuse(error.message);

  const write = (more: string | null) => {
    try {
      xml.write(more as string);
    } catch (error) {
      throw error instanceof NoMultistatus ? error : new NoMultistatus("it is no XML", { cause: error });
    }
  };
  return {
    write: (more: string) => void write(more),
    end(more: string) {
      write(more);
      write(null);
      if (!wasMultistatus) refuse("it is empty");
    },
  };
}
