import type { Peer } from "../peer.ts";
import { cp } from "./cp.ts";
import { globus } from "./globus.ts";
import { http } from "./http.ts";
import { packetboat } from "./packetboat.ts";
import { rclone } from "./rclone.ts";
import { rsync } from "./rsync.ts";
import { scp } from "./scp.ts";

/** In the order of the table. */
export const PEERS: readonly Peer[] = [...packetboat, ...globus, rsync, ...http, rclone, scp, cp];
