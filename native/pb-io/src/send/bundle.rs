//! Gathers items into units.

use std::sync::Arc;

use pb_proto::message::item::Item;
use pb_proto::message::{LIST_TRAILER, bundle_trailer};
use pb_proto::units::MAX_UNIT;

use super::SendJob;
use crate::copies::Step;
use crate::session::Session;
use crate::transport::OutBody;

/// Room for items in one unit.
const ROOM: usize = MAX_UNIT as usize - LIST_TRAILER;

/// Items on their way into a unit.
pub(super) struct Bundle<'a> {
    job: &'a SendJob,
    session: Arc<Session>,
    items: Vec<u8>,
}

impl<'a> Bundle<'a> {
    /// `None` when the session is gone.
    pub fn new(job: &'a SendJob, expected: usize) -> Option<Bundle<'a>> {
        let session = job.session.upgrade()?;
        Some(Bundle {
            job,
            session,
            items: Vec::with_capacity(expected.min(ROOM)),
        })
    }

    /// Adds an item that takes at most `bound` bytes, sending what is there first when it would not fit.
    pub fn put(&mut self, item: &Item<'_>, bound: usize) {
        if self.items.len() + bound > ROOM {
            self.send();
        }
        item.encode(&mut self.items);
        if let Item::Content { content, .. } | Item::Inline { content, .. } = item {
            self.session.copies.add(Step::Read, content.len());
            self.session.copies.add(Step::Bundle, content.len());
        }
    }

    /// Queues the unit.
    pub fn send(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let len = self.items.len() + LIST_TRAILER;
        let stop = || self.session.has_ended() || self.job.stopped();
        if let Some(mut buffer) = self.session.send_budget.take(len, &stop) {
            let (items, trailer) = buffer.as_mut_slice().split_at_mut(self.items.len());
            items.copy_from_slice(&self.items);
            self.session.copies.add(Step::Bundle, self.items.len());
            trailer.copy_from_slice(&bundle_trailer(self.job.options.job));
            self.session
                .outbox
                .push_data(len as u32, (OutBody::Memory(buffer), None), &stop);
        }
        self.items.clear();
    }
}
