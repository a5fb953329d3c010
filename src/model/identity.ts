/** Who calls a server, and what it may see. Made by the one gate in daemon/, carried to every service. */
export interface Caller {
  /** Client id from the certificate, or made of a token's issuer and subject; "" for the process itself. */
  readonly clientId: string;
  readonly name: string;
  readonly readOnly: boolean;
  /** `PathText` below the server's name space that the caller is confined to; "/" for all. */
  readonly path: string;
  /** The only roots that it sees; absent: all. */
  readonly roots?: readonly RootAccess[];
  /** What the access rests on, and ends with, where that is not the client as a whole: one token. */
  readonly grant?: string;
}

export interface RootAccess {
  /** A root's name, "" for the one without, "*" for all. */
  readonly root: string;
  readonly write: boolean;
}
