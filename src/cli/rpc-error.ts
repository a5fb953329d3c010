export { fromConnectError as toPbError } from "../wire/connect.ts";
export { errorFromWire as errorFromInfo } from "../wire/error.ts";
