import { create } from "@bufbuild/protobuf";
import {
  PlannedActionSchema,
  type StartResponse,
  StartResponseSchema,
} from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { joinPath, pathBytes } from "../model/path.ts";
import { type Step, stepsFor } from "../plan/steps.ts";
import { type Compared, compareWithDestination } from "./compare.ts";
import type { RunContext } from "./context.ts";
import type { Outcome } from "./receipt.ts";
import type { ResolvedSource } from "./request.ts";

/** Lists what the transfer would do, from both ends' listings; opens no session and writes nothing. */
export async function* dryRun(
  context: Omit<RunContext, "tools" | "attempt">,
): AsyncGenerator<StartResponse, Outcome> {
  const { request, reporter, signal } = context;
  context.begin();
  let files = 0;
  let bytes = 0;
  for await (const batch of compareWithDestination(request, { report: reporter, signal })) {
    for (const compared of batch) {
      if (compared.entry.kind === "file") {
        files += 1;
        bytes += compared.entry.size;
      }
      for (const step of steps(context, compared)) yield planned(context, step, compared.source);
    }
    reporter.found({ files, bytes, done: false });
  }
  reporter.found({ files, bytes, done: true });
  return { state: "done", hashes: [], lanes: 0, sealed: false };
}

function steps({ request, reporter }: Pick<RunContext, "request" | "reporter">, compared: Compared): Step[] {
  const { entry, target, existing, source } = compared;
  if (existing?.kind === "directory" && entry.kind !== "directory" && entry.kind !== "other") {
    const path = joinPath(request.targets.base, target);
    const message = `${path} is a folder; ${joinPath(source.endpoint.path, entry.path)} cannot replace it`;
    reporter.error(new PbError("is_a_directory", message, { path }));
    return [];
  }
  return stepsFor({
    entry,
    target,
    existing,
    overwrite: request.options.overwrite,
    resolutions: {
      sourceNs: source.endpoint.backend.capabilities.mtimeResolutionNs,
      destinationNs: request.destination.backend.capabilities.mtimeResolutionNs,
      putTimes: request.destination.backend.capabilities.setMtime !== true,
    },
    links: request.destination.backend.capabilities.links,
    move: request.move,
  });
}

function planned(
  { request }: Pick<RunContext, "request">,
  step: Step,
  source: ResolvedSource,
): StartResponse {
  const base = step.action === "remove-source" ? source.endpoint.path : request.targets.base;
  const value = create(PlannedActionSchema, {
    action: step.action,
    path: pathBytes(joinPath(base, step.path)),
    size: BigInt(step.size),
    reason: step.reason,
  });
  return create(StartResponseSchema, { event: { case: "planned", value } });
}
