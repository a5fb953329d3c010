//! One thread for the process that tells every running job's listener how it stands.

use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Status;

/// JavaScript hears of a job at most this often.
const INTERVAL: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Ticker {
    jobs: Mutex<Vec<Weak<Status>>>,
    added: Condvar,
}

pub(super) fn watch(status: &Arc<Status>) {
    static TICKER: OnceLock<Arc<Ticker>> = OnceLock::new();
    let ticker = TICKER.get_or_init(start);
    ticker.jobs.lock().push(Arc::downgrade(status));
    ticker.added.notify_one();
}

fn start() -> Arc<Ticker> {
    let ticker = Arc::new(Ticker::default());
    let of_thread = Arc::clone(&ticker);
    // Without this thread only progress is missing: results still arrive.
    let _ = thread::Builder::new()
        .name("pb-tick".into())
        .spawn(move || run(&of_thread));
    ticker
}

fn run(ticker: &Ticker) {
    loop {
        let alive: Vec<Arc<Status>> = {
            let mut jobs = ticker.jobs.lock();
            jobs.retain(|j| j.upgrade().is_some_and(|j| !j.has_ended()));
            if jobs.is_empty() {
                ticker.added.wait(&mut jobs);
            }
            jobs.iter().filter_map(Weak::upgrade).collect()
        };
        alive.iter().for_each(|status| status.tick());
        drop(alive);
        thread::sleep(INTERVAL);
    }
}
