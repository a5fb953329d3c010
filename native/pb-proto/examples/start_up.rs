//! Where the time of one upload goes, in the simulator: start, full rate, end.
//!
//! `cargo run --release -p pb-proto --features sim --example start_up -- --mib 500 --mbit 1000 --rtt 100 --queue 1 --loss 0.001
//! --lanes 2 --history 1 --seeds 3 --every 100 --budget 224`: `--history` is the remembered rate as a multiple of the path's, `--every`
//! prints the course in steps of so many milliseconds, `--budget` is the receiver's memory in MiB.

use pb_proto::cc::ControllerKind;
use pb_proto::lane::PathHint;
use pb_proto::sim::{Load, Outcome, Path, Scenario, Source, run};
use pb_proto::time::{Instant, MS, SECOND};

/// What headers leave of a packet of 1500 bytes.
const PAYLOAD: f64 = 1424.0 / 1500.0;

fn option(name: &str) -> Option<f64> {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|arg| *arg == format!("--{name}"))?;
    args.get(at + 1)?.parse().ok()
}

fn load(units: Vec<u32>) -> Load {
    Load {
        units,
        budget: (option("budget").unwrap_or(224.0) as u64) << 20,
        disk: 2_000_000_000,
        source: Source::Ready,
    }
}

fn scenario(rate: u64, rtt: u64) -> Scenario {
    let mut path = Path::clean(rate, rtt / 2);
    path.queue = (rate as f64 * rtt as f64 / 1e9 * option("queue").unwrap_or(1.0)) as u64;
    path.loss = option("loss").unwrap_or(0.0);
    let lanes = option("lanes").unwrap_or(1.0);
    let units = vec![1 << 20; option("mib").unwrap_or(500.0) as usize];
    Scenario {
        seed: 1,
        lanes: lanes as u8,
        controllers: vec![ControllerKind::default()],
        lanes_from: Vec::new(),
        paths: [path.clone(), path],
        loads: [load(units), load(Vec::new())],
        max_datagram: 1472,
        rekey_after: None,
        history: option("history").map(|of| PathHint {
            min_rtt: rtt,
            rate: (rate as f64 * of / lanes) as u64,
        }),
        rebind_at: None,
        rivals: Vec::new(),
        deadline: 600 * SECOND,
        stop_at: None,
        mark_every: option("every").map(|ms| (ms * 1e6) as u64),
    }
}

fn course(outcome: &Outcome, rate: u64) {
    for pair in outcome.marks.windows(2) {
        let [before, mark] = pair else { continue };
        let bytes: u64 = mark.delivered.iter().sum::<u64>() - before.delivered.iter().sum::<u64>();
        let link = rate as f64 * PAYLOAD * mark.at.since(before.at) as f64 / SECOND as f64;
        print!(
            "{:8.1} ms {:4.2} of the link, queue {:9} ",
            mark.at.since(Instant(MS)) as f64 / 1e6,
            bytes as f64 / link,
            mark.queued
        );
        for lane in &mark.samples {
            print!(
                "| {:15} window {:9} pace {:6.1} Mbit/s lost {:5} ",
                lane.phase,
                lane.congestion_window,
                lane.pacing_rate as f64 / 125e3,
                lane.packets_lost
            );
        }
        println!();
    }
}

fn main() {
    let rate = (option("mbit").unwrap_or(1000.0) * 125e3) as u64;
    let rtt = (option("rtt").unwrap_or(100.0) * MS as f64) as u64;
    let base = scenario(rate, rtt);
    let bytes: u64 = base.loads[0].units.iter().map(|&len| u64::from(len)).sum();
    for seed in 1..=option("seeds").unwrap_or(1.0) as u64 {
        let outcome = run(&Scenario {
            seed,
            ..base.clone()
        })
        .unwrap_or_else(|failure| panic!("{}", failure.0));
        let span = (outcome.done_at.0 - MS) as f64 / SECOND as f64;
        let fates = outcome.fates;
        course(&outcome, rate);
        println!(
            "seed {seed}: {span:.3} s, {:.3} of the payload rate; {} lost, {} dropped by the queue; ACKs {:.2} %",
            bytes as f64 / span / (rate as f64 * PAYLOAD),
            fates[0].lost,
            fates[0].overflowed,
            100.0 * fates[1].bytes as f64 / fates[0].bytes as f64,
        );
    }
}
