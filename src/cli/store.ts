import { resolve } from "node:path";
import type { CredentialActions, RemoteActions } from "../model/actions.ts";
import type { CliContext } from "./context.ts";

export interface StateFlag {
  readonly state?: string;
}

/** For `Command.option`. */
export const STATE_OPTION = ["--state <dir>", "those of the server whose state folder this is"] as const;

/** This client's, or those of the server that is named. */
export function storeFor({ credentials, storeOf, cwd }: CliContext, { state }: StateFlag): CredentialActions {
  return state === undefined ? credentials : storeOf(resolve(cwd, state)).credentials;
}

export function remotesFor({ remotes, storeOf, cwd }: CliContext, { state }: StateFlag): RemoteActions {
  return state === undefined ? remotes : storeOf(resolve(cwd, state)).remotes;
}
