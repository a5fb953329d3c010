//! Threads that block: as many as there is work at once, kept for a while for what comes next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

type Work = Box<dyn FnOnce() + Send>;

/// A thread without work ends after this.
const IDLE: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

struct Shared {
    name: &'static str,
    queue: Mutex<Queue>,
    more: Condvar,
}

pub(super) struct Workers(Arc<Shared>);

impl Workers {
    pub fn new(name: &'static str) -> Workers {
        Workers(Arc::new(Shared {
            name,
            queue: Mutex::default(),
            more: Condvar::new(),
        }))
    }

    /// Runs it at once on a thread that is free, or on a new one; here when there can't be one.
    pub fn run(&self, work: Work) {
        let mut queue = self.0.queue.lock();
        queue.waiting.push_back(work);
        if queue.idle >= queue.waiting.len() {
            self.0.more.notify_one();
            return;
        }
        drop(queue);
        let shared = Arc::clone(&self.0);
        let made = std::thread::Builder::new()
            .name(self.0.name.to_string())
            .spawn(move || shared.serve());
        if made.is_err() {
            // No thread is to be had: those that there are come to it, else the caller does it.
            let left = self.0.queue.lock().waiting.pop_back();
            if let Some(work) = left {
                work();
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.queue.lock().closed = true;
        self.0.more.notify_all();
    }
}

impl Shared {
    fn serve(&self) {
        let mut queue = self.queue.lock();
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                drop(queue);
                work();
                queue = self.queue.lock();
                continue;
            }
            if queue.closed {
                return;
            }
            queue.idle += 1;
            let late = self.more.wait_for(&mut queue, IDLE).timed_out();
            queue.idle -= 1;
            if late && queue.waiting.is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_waits_for_other_work_does_not_keep_it_from_running() {
        let workers = Workers::new("test");
        let (tell, hear) = crossbeam_channel::bounded::<u32>(0);
        let (done, end) = crossbeam_channel::unbounded();
        for round in 0..20 {
            let (tell, hear, done) = (tell.clone(), hear.clone(), done.clone());
            let end_of_it = done.clone();
            workers.run(Box::new(move || _ = done.send(hear.recv().unwrap())));
            workers.run(Box::new(move || {
                tell.send(round).unwrap();
                end_of_it.send(round).unwrap();
            }));
            let patience = Duration::from_secs(20);
            let both = [
                end.recv_timeout(patience).unwrap(),
                end.recv_timeout(patience).unwrap(),
            ];
            assert_eq!(both, [round, round]);
        }
    }
}
