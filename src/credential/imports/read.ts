/** Reads what another program has kept, where that program keeps it. */

import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import type { ImportSource } from "../../model/actions.ts";
import { PbError } from "../../model/error.ts";
import { readText } from "../files.ts";
import { importAws } from "./aws.ts";
import type { Imported } from "./imported.ts";
import { importNetrc } from "./netrc.ts";
import { importRclone } from "./rclone.ts";
import { importSshConfig } from "./ssh-config.ts";

export interface ReadImport {
  readonly source: Exclude<ImportSource, "pb">;
  readonly file?: string | undefined;
  readonly text?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/** @throws PbError `not_found` naming the file */
export async function readImport({ source, file, text, env }: ReadImport): Promise<Imported> {
  const home = env.HOME || homedir();
  const read = async (usual: string) => text ?? (await readText(file ?? usual));
  switch (source) {
    case "rclone": {
      const usual =
        env.RCLONE_CONFIG || join(env.XDG_CONFIG_HOME || join(home, ".config"), "rclone/rclone.conf");
      return importRclone(await read(usual), file ?? usual);
    }
    case "netrc":
      return importNetrc(await read(env.NETRC || join(home, ".netrc")));
    case "ssh":
      return importSshConfig(await read(join(home, ".ssh/config")), { home, user: userInfo().username });
    case "aws": {
      const credentials = await read(env.AWS_SHARED_CREDENTIALS_FILE || join(home, ".aws/credentials"));
      const config = await readText(env.AWS_CONFIG_FILE || join(home, ".aws/config")).catch(
        (error: unknown) => {
          if (error instanceof PbError && error.code === "not_found") return "";
          throw error;
        },
      );
      return importAws({ credentials, config: text === undefined && file === undefined ? config : "" });
    }
  }
}
