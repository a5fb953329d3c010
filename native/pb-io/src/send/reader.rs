//! A reader thread: takes tasks until the job stops.

use std::sync::Arc;

use pb_proto::message::item::Item;

use super::SendJob;
use super::bundle::Bundle;
use super::plan::Task;
use crate::session::Stage;

pub(super) fn run(job: &Arc<SendJob>) {
    if let Some(session) = job.session.upgrade() {
        session.cpu.enter(Stage::Reader);
    }
    let mut scratch = Vec::new();
    while let Some(task) = job.next_task() {
        match task {
            Task::Offer(entries) => job.offer(entries),
            Task::Small { entries, wanted } => job.small(entries, wanted, &mut scratch),
            Task::Open { entry, wanted } => job.open_large(entry, wanted),
            Task::Chunk { file, index, again } => match again {
                true => job.chunk_again(&file, index),
                false => job.chunk(&file, index),
            },
            Task::Finish { entries } => finish(job, entries),
        }
    }
}

fn finish(job: &SendJob, entries: u64) {
    if let Some(mut bundle) = Bundle::new(job, 16) {
        bundle.put(&Item::Finish { entries }, 16);
        bundle.send();
    }
}
