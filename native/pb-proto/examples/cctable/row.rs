//! What a run of a cell came to.

use pb_proto::sim::{Mark, Outcome, Scenario, run};
use pb_proto::time::{MS, SECOND};

use crate::cells::Cell;

/// Figures of one run, or medians of several.
#[derive(Default)]
pub struct Row {
    /// Of the link, by the first lane.
    pub share: f64,
    /// The first lane's bytes by the other's.
    pub ratio: f64,
    /// Of the link, by all.
    pub total: f64,
    /// Milliseconds of queue, on average.
    pub queue_ms: f64,
    /// Part of the packets that were lost, by the link and by its queue.
    pub lost: f64,
    /// Bytes back by bytes forth.
    pub back: f64,
}

impl Row {
    pub const HEAD: &str = "cell                                   share (min-max)      other/ratio (min-max)  total  queue ms  lost %  back %";
}

fn delivered(mark: &Mark) -> Vec<u64> {
    mark.delivered.iter().chain(&mark.rivals).copied().collect()
}

fn figures(cell: &Cell, outcome: &Outcome) -> Row {
    let marks: Vec<&Mark> = outcome.marks.iter().filter(|m| m.at >= cell.from).collect();
    let (Some(first), Some(last)) = (marks.first(), marks.last()) else {
        return Row::default();
    };
    let rate = cell.scenario.paths[0].rate as f64;
    let link = rate * last.at.since(first.at) as f64 / SECOND as f64;
    let shares: Vec<f64> = std::iter::zip(delivered(last), delivered(first))
        .map(|(b, a)| (b - a) as f64 / link)
        .collect();
    let queued: f64 = marks.iter().map(|m| m.queued as f64).sum::<f64>() / marks.len() as f64;
    let fates = outcome.fates[0];
    Row {
        share: shares[0],
        ratio: shares.get(1).map_or(f64::NAN, |other| shares[0] / other),
        total: shares.iter().sum(),
        queue_ms: queued / rate * 1e3,
        lost: (fates.lost + fates.overflowed) as f64 / fates.sent as f64,
        back: outcome.fates[1].bytes as f64 / fates.bytes as f64,
    }
}

fn play(scenario: &Scenario) -> Outcome {
    run(scenario).unwrap_or_else(|failure| panic!("{}", failure.0))
}

/// One line: medians, and the range of what matters.
pub fn over_seeds(cell: &Cell, seeds: u64) -> String {
    let rows: Vec<Row> = (1..=seeds)
        .map(|seed| {
            let scenario = Scenario {
                seed,
                ..cell.scenario.clone()
            };
            figures(cell, &play(&scenario))
        })
        .collect();
    let of = |get: fn(&Row) -> f64| {
        let mut all: Vec<f64> = rows.iter().map(get).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[0], all[all.len() - 1])
    };
    let (share, least, most) = of(|r| r.share);
    let (ratio, low, high) = of(|r| r.ratio);
    let beside = if ratio.is_nan() {
        " ".repeat(22)
    } else {
        format!("{ratio:6.2} ({low:.2}-{high:.2})   ")
    };
    format!(
        "{:38} {share:.3} ({least:.3}-{most:.3})  {beside} {:.3}  {:8.1}  {:6.2}  {:6.2}",
        cell.name,
        of(|r| r.total).0,
        of(|r| r.queue_ms).0,
        of(|r| r.lost).0 * 100.0,
        of(|r| r.back).0 * 100.0,
    )
}

/// The course of one run, ten lines a second of its first minute.
pub fn trace(cell: &Cell, seed: u64) {
    let outcome = play(&Scenario {
        seed,
        ..cell.scenario.clone()
    });
    let rate = cell.scenario.paths[0].rate as f64;
    let mut before: Option<&Mark> = None;
    for mark in &outcome.marks {
        let Some(last) = before else {
            before = Some(mark);
            continue;
        };
        let span = mark.at.since(last.at);
        if span < SECOND / 10 {
            continue;
        }
        let link = rate * span as f64 / SECOND as f64;
        let shares: Vec<String> = std::iter::zip(delivered(mark), delivered(last))
            .map(|(b, a)| format!("{:.2}", (b - a) as f64 / link))
            .collect();
        let Some(lane) = mark.samples.first() else {
            continue;
        };
        println!(
            "{:7.2}s {} queue {:6.1} ms  {:15} cwnd {:8} flight {:8} pace {:5.2} rtt {:5.1}/{:5.1} ms lost {}",
            mark.at.0 as f64 / 1e9,
            shares.join(" "),
            mark.queued as f64 / rate * 1e3,
            lane.phase,
            lane.congestion_window,
            lane.bytes_in_flight,
            lane.pacing_rate as f64 / rate,
            lane.smoothed_rtt_ns as f64 / MS as f64,
            lane.min_rtt_ns as f64 / MS as f64,
            lane.packets_lost,
        );
        before = Some(mark);
    }
}
