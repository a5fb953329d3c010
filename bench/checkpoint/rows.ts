/** What is moved, and where the state of both ends is. */
export interface CheckpointRow {
  readonly name: string;
  readonly title: string;
  readonly work: "lan" | "small";
  readonly state: "memory" | "disk";
}

const WORKS = { lan: "one large file", small: "small files" } as const;
const STATES = { memory: "state on tmpfs", disk: "state on a disk" } as const;

const row = (work: CheckpointRow["work"], state: CheckpointRow["state"]): CheckpointRow => ({
  name: `${work}-${state}`,
  title: `${WORKS[work]}, ${STATES[state]}`,
  work,
  state,
});

export const CHECKPOINT_ROWS: readonly CheckpointRow[] = [
  row("lan", "memory"),
  row("lan", "disk"),
  row("small", "memory"),
  row("small", "disk"),
];

/** @throws Error for a name that no row has */
export function pickCheckpointRows(only: readonly string[] | undefined): readonly CheckpointRow[] {
  if (only === undefined) return CHECKPOINT_ROWS;
  return only.map((name) => {
    const found = CHECKPOINT_ROWS.find((each) => each.name === name);
    if (found) return found;
    const known = CHECKPOINT_ROWS.map((each) => each.name).join(", ");
    throw new Error(`--only: no row "${name}"; there are: ${known}`);
  });
}
