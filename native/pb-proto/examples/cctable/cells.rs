//! The networks of the table.

use pb_proto::cc::ControllerKind;
use pb_proto::sim::{Bursts, Load, Path, Rival, RivalKind, Scenario, Source};
use pb_proto::time::{Instant, MS, Nanos, SECOND};

const FAST: u64 = 12_500_000;
const GIGA: u64 = 125_000_000;

pub struct Cell {
    pub name: String,
    pub scenario: Scenario,
    /// Shares are taken from here to the end.
    pub from: Instant,
}

/// Cells of every kind for one controller.
pub fn all(kind: ControllerKind) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (rate, label) in [(FAST, "100M"), (GIGA, "1G")] {
        alone(&mut cells, &|rtt, rtts| base(kind, rate, rtt, rtts), label);
    }
    for (rate, label) in [(FAST, "100M"), (GIGA, "1G")] {
        for rtt in [10 * MS, 40 * MS, 100 * MS] {
            beside(&mut cells, kind, (rate, rtt), label);
            visit(&mut cells, kind, (rate, rtt), label);
        }
    }
    cells
}

/// One lane up a clean path with a queue of 1 BDP, for so many round trips and at least 20 s.
fn base(kind: ControllerKind, rate: u64, rtt: Nanos, rtts: u64) -> Cell {
    let span = (rtts * rtt).max(20 * SECOND);
    let path = Path::clean(rate, rtt / 2);
    let bytes = (rate as u128 * (span + 10 * rtt) as u128 / SECOND as u128) as usize;
    let load = |units: usize| Load {
        units: vec![1 << 20; units],
        budget: 4 << 30,
        disk: 4_000_000_000,
        source: Source::Ready,
    };
    Cell {
        name: String::new(),
        from: Instant((20 * rtt).max(3 * SECOND)),
        scenario: Scenario {
            seed: 1,
            lanes: 1,
            controllers: vec![kind],
            lanes_from: Vec::new(),
            paths: [path.clone(), path],
            loads: [load(bytes >> 20), load(0)],
            max_datagram: 1472,
            rekey_after: None,
            history: None,
            rebind_at: None,
            rivals: Vec::new(),
            deadline: 10_000 * SECOND,
            stop_at: Some(Instant(span)),
            mark_every: Some(5 * MS),
        },
    }
}

fn bursty(share: f64) -> Option<Bursts> {
    let to_good = 0.1;
    Some(Bursts {
        to_bad: share * to_good / (1.0 - share),
        to_good,
        loss: 1.0,
    })
}

fn alone(cells: &mut Vec<Cell>, base: &dyn Fn(Nanos, u64) -> Cell, label: &str) {
    let mut add = |name: &str, rtt: Nanos, rtts: u64, change: &dyn Fn(&mut Path)| {
        let mut cell = base(rtt, rtts);
        cell.name = format!("alone {label} {}ms {name}", rtt / MS);
        change(&mut cell.scenario.paths[0]);
        cells.push(cell);
    };
    let bdp = |p: &Path, of: f64| (p.rate as f64 * 2.0 * p.delay as f64 / 1e9 * of) as u64;
    for percent in [0.0, 0.1, 1.0] {
        add(&format!("loss {percent}%"), 100 * MS, 200, &|p| {
            p.loss = percent / 100.0
        });
    }
    add("loss 2%", 200 * MS, 100, &|p| p.loss = 0.02);
    add("loss 5%", 1000 * MS, 60, &|p| p.loss = 0.05);
    add("loss 30%", 50 * MS, 100, &|p| p.loss = 0.3);
    add("burst 0.1%", 100 * MS, 200, &|p| p.bursts = bursty(0.001));
    add("burst 1%", 100 * MS, 200, &|p| p.bursts = bursty(0.01));
    add("reorder 0.1%", 100 * MS, 200, &|p| {
        (p.reorder, p.reorder_by) = (0.001, 10 * MS)
    });
    add("jitter 10ms", 100 * MS, 200, &|p| p.jitter = 10 * MS);
    add("corrupt 0.01%", 100 * MS, 200, &|p| p.corrupt = 0.0001);
    for of in [0.1, 1.0, 4.0] {
        add(&format!("queue {of}"), 10 * MS, 200, &|p| {
            p.queue = bdp(p, of)
        });
    }
    add("queue 4", 100 * MS, 200, &|p| p.queue = bdp(p, 4.0));
    let mut thin = base(100 * MS, 200);
    thin.name = format!("alone {label} 100ms back 1/10");
    thin.scenario.paths[1] = Path::clean(thin.scenario.paths[0].rate / 10, 50 * MS);
    cells.push(thin);
}

/// One minute beside one other flow, that begins at the same time, before or after.
fn beside(cells: &mut Vec<Cell>, kind: ControllerKind, (rate, rtt): (u64, Nanos), label: &str) {
    let mut add = |name: &str, of: f64, lanes: u8, from: [u64; 2], rival: Option<RivalKind>| {
        let mut cell = base(kind, rate, rtt, 70 * SECOND / rtt);
        let scenario = &mut cell.scenario;
        scenario.paths[0].queue = (rate as f64 * rtt as f64 / 1e9 * of) as u64;
        scenario.lanes = lanes;
        scenario.lanes_from = vec![
            Instant(MS + from[0] * SECOND),
            Instant(MS + from[1] * SECOND),
        ];
        let begin = Instant(MS + from[1] * SECOND + 7 * MS);
        scenario.rivals = rival
            .into_iter()
            .map(|kind| Rival {
                kind,
                from: begin,
                to: None,
            })
            .collect();
        cell.from = Instant(from[0].max(from[1]) * SECOND);
        scenario.stop_at = Some(cell.from.after(60 * SECOND));
        cell.name = format!("fair {label} {}ms {name} {of}", rtt / MS);
        cells.push(cell);
    };
    for (who, rival) in [("cubic", RivalKind::Cubic), ("bbr", RivalKind::Bbr)] {
        for of in [0.25, 0.5, 1.0, 4.0] {
            add(&format!("{who} same"), of, 1, [0, 0], Some(rival));
            add(&format!("{who} later"), of, 1, [0, 10], Some(rival));
            add(&format!("{who} before"), of, 1, [10, 0], Some(rival));
        }
    }
    for of in [0.5, 1.0, 4.0] {
        add("ours same", of, 2, [0, 0], None);
        add("ours later", of, 2, [0, 10], None);
    }
}

/// A CUBIC flow that comes after 30 s and goes after 60 s: shares while it is there, but for its first ten seconds, and
/// from 20 s after it has gone.
fn visit(cells: &mut Vec<Cell>, kind: ControllerKind, (rate, rtt): (u64, Nanos), label: &str) {
    for of in [0.5, 1.0, 4.0] {
        let spans = [("alone", 20, 30), ("visited", 40, 60), ("again", 80, 90)];
        for (name, from, to) in spans {
            let mut cell = base(kind, rate, rtt, 100 * SECOND / rtt);
            let scenario = &mut cell.scenario;
            scenario.paths[0].queue = (rate as f64 * rtt as f64 / 1e9 * of) as u64;
            let (begin, end) = (Instant(30 * SECOND), Some(Instant(60 * SECOND)));
            scenario.rivals = vec![Rival {
                kind: RivalKind::Cubic,
                from: begin,
                to: end,
            }];
            cell.from = Instant(from * SECOND);
            scenario.stop_at = Some(Instant(to * SECOND));
            cell.name = format!("visit {label} {}ms {name} {of}", rtt / MS);
            cells.push(cell);
        }
    }
}
