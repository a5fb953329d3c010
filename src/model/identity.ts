/** Who calls a server, and what it may see. Made by the one gate in daemon/, carried to every service. */
export interface Caller {
  /** Client id from the certificate; "" for the process itself. */
  readonly clientId: string;
  readonly name: string;
  readonly readOnly: boolean;
  /** `PathText` below the server's name space that the caller is confined to; "/" for all. */
  readonly path: string;
}
