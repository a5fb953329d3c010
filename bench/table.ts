import type { Figures, Report, Row } from "./report.ts";

interface Column {
  readonly head: string;
  readonly cell: (figures: Figures, row: Row) => string;
}

const times = (value: number | undefined) => (value === undefined ? "" : `${value.toFixed(2)}×`);
const mebibytes = (bytes: number | undefined) =>
  bytes === undefined ? "" : String(Math.round(bytes / 2 ** 20));
const fixed = (value: number, places: number) => value.toFixed(places);

function columns(report: Report): Column[] {
  const { unit } = report.work;
  const shown: Column[] = [
    { head: "median s", cell: ({ seconds }) => fixed(seconds.median, 3) },
    { head: "min s", cell: ({ seconds }) => fixed(seconds.min, 3) },
    { head: "max s", cell: ({ seconds }) => fixed(seconds.max, 3) },
    { head: unit, cell: ({ rate }) => fixed(rate, unit === "Gbit/s" ? 2 : 0) },
    { head: "best peer", cell: ({ toBestPeer }) => times(toBestPeer) },
    { head: "of cp", cell: ({ toCp }) => (toCp === undefined ? "" : `${fixed(toCp * 100, 0)} %`) },
    { head: "CPU s/GiB", cell: ({ cpuPerGib }) => fixed(cpuPerGib, 2) },
    { head: "sender", cell: ({ fromCpuPerGib }) => fixed(fromCpuPerGib, 2) },
    { head: "receiver", cell: ({ toCpuPerGib }) => fixed(toCpuPerGib, 2) },
  ];
  if (report.link !== undefined) {
    shown.splice(5, 1, {
      head: "of link",
      cell: ({ link }) => (link === undefined ? "" : `${fixed(link.share * 100, 1)} %`),
    });
    shown.push(
      { head: "queue ms", cell: ({ link }) => (link === undefined ? "" : fixed(link.queueMs, 1)) },
      { head: "back", cell: ({ link }) => (link === undefined ? "" : `${fixed(link.backShare * 100, 2)} %`) },
      { head: "late ms", cell: ({ link }) => (link === undefined ? "" : fixed(link.maxLateMs, 1)) },
      {
        head: "void",
        cell: ({ link }, { runs }) => (link === undefined ? "" : `${link.voids}/${runs.length}`),
      },
    );
  }
  if (report.rows.some(({ figures }) => figures?.fromPeakBytes !== undefined)) {
    shown.push(
      { head: "sender MiB", cell: ({ fromPeakBytes }) => mebibytes(fromPeakBytes) },
      { head: "receiver MiB", cell: ({ toPeakBytes }) => mebibytes(toPeakBytes) },
      { head: "last/first 10th", cell: ({ lastOverFirst }) => times(lastOverFirst) },
    );
  }
  return shown;
}

/** For people: a heading, a line for each peer, and what the columns mean. */
export function table(report: Report): string {
  const shown = columns(report);
  const rows = report.rows.map((row) => ({
    title: row.title,
    cells: row.figures === undefined ? [] : shown.map(({ cell }) => cell(row.figures as Figures, row)),
    why: whyNone(row),
  }));
  const widths = shown.map(({ head }, at) =>
    Math.max(head.length, ...rows.map(({ cells }) => cells[at]?.length ?? 0)),
  );
  const titles = Math.max(...rows.map(({ title }) => title.length));
  const line = (title: string, cells: readonly string[]) =>
    [title.padEnd(titles), ...cells.map((cell, at) => cell.padStart(widths[at] ?? 0))].join("  ").trimEnd();
  const body = rows.map(({ title, cells, why }) => line(title, cells.length > 0 ? cells : [why]));
  const heads = shown.map(({ head }) => head);
  return [...heading(report), line("", heads), ...body, ...cpuVerdict(report)].join("\n");
}

function whyNone({ failed, skipped, stopped }: Row): string {
  if (failed !== undefined) return `FAILED: ${failed.split("\n", 1)[0]}`;
  if (stopped === undefined) return `SKIPPED: ${skipped}`;
  return `stopped at ${stopped.seconds} s, ${mebibytes(stopped.bytes)} MiB had come through the link`;
}

/** What the columns of an emulated link mean. */
function linkHeading({ link }: Report): string[] {
  if (link === undefined) return [];
  const payload = (link.payloadBitsPerSec / 1e6).toFixed(0);
  return [
    `link: ${link.title}; payload at most ${payload} Mbit/s; iperf3: ${link.given}`,
    "of link: whole transfer over the payload rate; queue: mean wait of a packet; back: bytes against the data's direction over those in it;",
    "late: the emulator's latest departure; void: runs that do not count, as the machine was too slow for the link",
  ];
}

function heading(report: Report): string[] {
  const { scenario, work, hosts, machine, rows, folder } = report;
  const runs = Math.max(0, ...rows.map((row) => row.runs.length));
  const tcp =
    report.link === undefined
      ? machine.tcp.tcp_congestion_control
      : `as each row says, windows ${machine.tcp.tcp_rmem} and ${machine.tcp.tcp_wmem}`;
  const place = ({ address, namespace }: Report["hosts"]["from"]) =>
    namespace ? `${namespace} ${address}` : address;
  return [
    `${scenario}: ${work.title}, ${place(hosts.from)} to ${place(hosts.to)}, ${folder}; runs of each: ${runs}, in turn`,
    `${machine.cpus} × ${machine.model}, Linux ${machine.kernel}, Node ${machine.node}, TCP ${tcp}`,
    "best peer: rate over that of the fastest that is not ours; CPU: user and system time of both sides, then of each",
    ...linkHeading(report),
    "",
  ];
}

/** Sealed with sealed: encryption is what processors are busy with. */
function cpuVerdict({ rows }: Report): string[] {
  const sealed = rows.flatMap(({ role, sealed, title, figures }) =>
    sealed && figures !== undefined ? [{ role, title, cost: figures.cpuPerGib }] : [],
  );
  const least = (role: Row["role"]) =>
    sealed.filter((row) => row.role === role).sort((a, b) => a.cost - b.cost)[0];
  const [ours, theirs] = [least("ours"), least("peer")];
  if (ours === undefined || theirs === undefined || theirs.cost === 0) return [];
  const share = `${fixed((ours.cost / theirs.cost) * 100, 0)} %`;
  return ["", `sealed, CPU seconds per GiB: ${ours.title} needs ${share} of what ${theirs.title} needs`];
}
