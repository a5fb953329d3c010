/** What to undo at the end, last first. Node 20 has no AsyncDisposableStack. */
export interface Cleanup extends AsyncDisposable {
  use<T extends AsyncDisposable>(owned: T): T;
  defer(undo: () => unknown): void;
}

export function createCleanup(): Cleanup {
  const undos: (() => unknown)[] = [];
  return {
    use(owned) {
      undos.push(() => owned[Symbol.asyncDispose]());
      return owned;
    },
    defer(undo) {
      undos.push(undo);
    },
    /** Everything is undone even when something fails; the first failure is told. */
    async [Symbol.asyncDispose]() {
      const failures: unknown[] = [];
      for (const undo of undos.splice(0).reverse()) {
        try {
          await undo();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
