//! What the controllers reach in the simulator, as a table: share of the link, what a flow beside gets, the queue.
//!
//! `cargo run --release -p pb-proto --features sim --example cctable -- [FILTER] [--seeds N] [--controller NAME] [--trace]`
//!
//! `--trace` prints the course of one run instead, with the seed that `--seeds` names.

mod cells;
mod row;

use cells::Cell;
use pb_proto::cc::ControllerKind;
use row::Row;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1).cloned()
    };
    let seeds: u64 = value("--seeds").and_then(|n| n.parse().ok()).unwrap_or(3);
    let kind = match value("--controller").as_deref() {
        Some("cubic") => ControllerKind::Cubic,
        Some("ledbat") => ControllerKind::Ledbat,
        _ => ControllerKind::default(),
    };
    let filter = args.first().filter(|a| !a.starts_with("--"));
    let wanted = |cell: &Cell| filter.is_none_or(|f| f.split(',').any(|f| cell.name.contains(f)));
    println!("{}", Row::HEAD);
    for cell in cells::all(kind).into_iter().filter(wanted) {
        if args.iter().any(|a| a == "--trace") {
            row::trace(&cell, seeds);
        } else {
            println!("{}", row::over_seeds(&cell, seeds));
        }
    }
}
