import type { ChunkAccess, ChunkSink } from "../chunks.ts";

/** The sinks of an endpoint that writes in order get one call after the other, so that `state` may be asked for at any time. */
export function chunksInTurn(access: ChunkAccess): ChunkAccess {
  const { setFolder, link, removeBegun } = access;
  return {
    maxCalls: access.maxCalls,
    open: (path, options) => access.open(path, options),
    readWhole: (path, into, options) => access.readWhole(path, into, options),
    create: async (path, options) => sinkInTurn(await access.create(path, options)),
    writeWhole: (path, bytes, options) => access.writeWhole(path, bytes, options),
    ...(link && { link: (path, options) => link.call(access, path, options) }),
    ...(removeBegun && { removeBegun: (path, options) => removeBegun.call(access, path, options) }),
    ...(setFolder && { setFolder: (path, options) => setFolder.call(access, path, options) }),
  };
}

function sinkInTurn(sink: ChunkSink): ChunkSink {
  if (sink.order === "any") return sink;
  const { writeFrom } = sink;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const mine = last.then(run);
    last = mine.catch(() => undefined);
    return mine;
  };
  return {
    order: sink.order,
    blockBytes: sink.blockBytes,
    ...(sink.has && { has: sink.has }),
    ...(sink.leaves && { leaves: sink.leaves }),
    write: (offset, parts, signal) => inTurn(() => sink.write(offset, parts, signal)),
    ...(writeFrom && {
      writeFrom: (memory, signal) => inTurn(() => writeFrom.call(sink, memory, signal)),
    }),
    state: (signal) => inTurn(() => sink.state(signal)),
    commit: (signal) => inTurn(() => sink.commit(signal)),
    // A write that hangs is not waited for: both end it.
    discard: (signal) => sink.discard(signal),
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  };
}
