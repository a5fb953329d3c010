//! Offered files that an earlier run had, whole or in part.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pb_proto::message::note::{MAX_HAVE, Note, Outcome};

use super::checkpoint::{Durable, PartRecord, adopt, identity_of, remove};
use super::durable::Checkpoint;
use super::entries::Wanted;
use super::file::{Known, LargeFile};
use super::{RecvJob, policy, result};
use crate::error::Code;
use crate::fs::{FsError, Kind, Root, join, split};
use crate::job::{Redone, add};
use crate::source::FileKey;

impl RecvJob {
    /// Answers the offer of a file that was finished before and still stands as it was left; it is never opened.
    pub(super) fn resumed_whole(
        &self,
        offer: &Wanted,
        key: &FileKey,
        answers: &mut Vec<Note<'_>>,
    ) -> bool {
        let Some(checkpoint) = &self.checkpoint else {
            return false;
        };
        let done = checkpoint.past.done(key);
        let part = checkpoint.past.part_of(&offer.meta.path, key);
        if !(done.is_some() || part.is_some()) || self.check_path(&offer.meta, false).is_err() {
            return false;
        }
        let there = self.stat(self.place(&offer.meta.path));
        // What was recorded as a part stands under the file's own name: it was whole and synced when it got that, and the
        // process ended before it could record so. The name is made durable, as that may be what was not done any more.
        let stands = there.is_ok_and(|there| {
            there.kind == Kind::File
                && there.size == offer.size
                && policy::same_time(there.mtime_ns, offer.meta.mtime_ns)
                && (done.is_some()
                    || part == Some(identity_of(&there))
                        && self.name_is_durable(self.place(&offer.meta.path)))
        });
        if stands && self.entries.decide_unopened(offer.meta.id).is_some() {
            let place = self.place(&offer.meta.path);
            self.status.resumed(place, offer.size, done);
            self.count(offer.size);
            answers.push(result(offer.meta.id, Outcome::Resumed { hash: done }));
        }
        stands
    }

    /// Goes on with the part of a wanted file, if there is one; parts of its target that can't be used are removed.
    pub(super) fn resumed_part(&self, offer: &Wanted, key: FileKey) -> bool {
        let Some(checkpoint) = &self.checkpoint else {
            return false;
        };
        let mut resumed = false;
        let mut why = match checkpoint.past.done(&key) {
            Some(_) => Some(Redone::DestinationChanged),
            None if checkpoint.past.was_done(&key) => Some(Redone::SourceChanged),
            None => None,
        };
        for part in checkpoint.past.take(&offer.meta.path) {
            let same = part.key == key && part.size == offer.size;
            let gone_on = match same {
                _ if resumed => Err(Redone::PartUnusable),
                true => self.go_on(checkpoint, offer, &part),
                false => Err(Redone::SourceChanged),
            };
            match gone_on {
                Ok(()) => resumed = true,
                Err(reason) => {
                    self.drop_part(checkpoint, &part);
                    // The source's own part says more than one of what it was before.
                    if same || why.is_none() {
                        why = Some(reason);
                    }
                }
            }
        }
        if let Some(why) = why.filter(|_| !resumed) {
            self.status.redone(self.place(&offer.meta.path), why);
        }
        resumed
    }

    /// The error: why the part can't be gone on with.
    fn go_on(
        &self,
        checkpoint: &Checkpoint,
        offer: &Wanted,
        part: &PartRecord,
    ) -> Result<(), Redone> {
        let durable = part.durable().filter(|d| !d.runs.is_empty());
        let durable = durable.ok_or(Redone::PartUnusable)?;
        let id = offer.meta.id;
        if !self.entries.may_resume() {
            return Err(Redone::PartUnusable);
        }
        let place = self.parent(self.place(&offer.meta.path));
        let place = place.map_err(|_| Redone::PartLost)?;
        let adopted = adopt(part, &durable.have, place);
        let (temp, adopted) = adopted.ok_or_else(|| self.why_not_adopted(part))?;
        if !checkpoint.ledger.begin(part.key, id) {
            return Err(Redone::PartUnusable);
        }
        checkpoint.ledger.adopt(part.key);
        let known = Known {
            key: part.key,
            size: part.size,
        };
        let file = LargeFile::resumed(
            offer.meta.clone(),
            known,
            Some((temp, adopted)),
            &durable,
            part.chunk_bytes,
        );
        let bytes = file.written();
        let counters = &self.status.counters;
        counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        let file = Arc::new(file);
        if !self.entries.open_resumed(&file) {
            // Its fate was decided meanwhile.
            self.discard_large(&file);
            return Ok(());
        }
        add(&counters.resumed_files, 1);
        add(&counters.resumed_bytes, bytes);
        self.tell(id, part.chunk_bytes, &durable);
        Ok(())
    }

    fn why_not_adopted(&self, part: &PartRecord) -> Redone {
        let (folder, _) = split(self.place(&part.target)).unwrap_or_default();
        match self.base.stat(&join(folder, &part.temporary), false) {
            Ok(_) => Redone::PartChanged,
            Err(_) => Redone::PartLost,
        }
    }

    /// Tells the sender what need not be sent.
    fn tell(&self, id: u32, chunk_bytes: u64, durable: &Durable<'_>) {
        if let Some(session) = self.session.upgrade() {
            session.send_notes(self.options.job, &have_notes(id, chunk_bytes, durable));
        }
    }

    /// An offer said again begins the file anew: as if the one before had not been.
    pub(super) fn withdraw_offer(&self, id: u32) {
        if let Some(file) = self.entries.withdraw(id, &self.status.counters) {
            let path = self.place(&file.meta.path);
            self.status.redone(path, Redone::SourceChanged);
            self.discard_large(&file);
        }
    }

    /// Every entry has its result: parts that no source came for will never be asked for.
    pub(super) fn drop_unclaimed_parts(&self) {
        if let Some(checkpoint) = &self.checkpoint {
            for part in checkpoint.past.take_all() {
                self.drop_part(checkpoint, &part);
            }
        }
    }

    /// Removes a part, if it still is what was recorded, and its record.
    fn drop_part(&self, checkpoint: &Checkpoint, part: &PartRecord) {
        if let Some(folder) = folder_of(&self.base, self.place(&part.target)) {
            remove(part, folder);
        }
        checkpoint.ledger.forget(&part.key);
    }
}

/// Says what is there of a file that is gone on with.
pub(super) fn have_notes<'a>(id: u32, chunk_bytes: u64, durable: &Durable<'a>) -> Vec<Note<'a>> {
    let chunk_log2 = chunk_bytes.trailing_zeros() as u8;
    let chunks = durable.runs.iter().map(|r| r.1.len() as u64).sum();
    let mut notes = vec![Note::Resume {
        id,
        chunk_log2,
        chunks,
    }];
    for &(start, values) in &durable.runs {
        for (n, values) in values.chunks(MAX_HAVE).enumerate() {
            notes.push(Note::Have {
                id,
                chunk_log2,
                first: start + (n * MAX_HAVE) as u64,
                values,
            });
        }
    }
    notes
}

fn folder_of(base: &Root, path: &[u8]) -> Option<Arc<OwnedFd>> {
    let (folder, _) = split(path).unwrap_or((b"", path));
    base.open_dir(folder).map(Arc::new).ok()
}

/// Removes parts of a job that will not be resumed, as far as they are what was recorded; how many were. `base` and
/// `exact_name` are those of the job. What is not there is no error.
pub fn remove_parts(
    root: &Root,
    (base, exact_name): (&[u8], bool),
    parts: &[PartRecord],
) -> Result<usize, FsError> {
    let clean = crate::fs::normalise("remove", base)?;
    let (folder, name) = match exact_name {
        true => split(&clean).unwrap_or((b"", &clean)),
        false => (&*clean, b"".as_slice()),
    };
    let base = match root.sub(folder, true).and_then(|r| r.confined()) {
        Err(e) if e.code == Code::NotFound => return Ok(0),
        other => other?,
    };
    let removed = parts.iter().filter(|part| {
        let path = if part.target.is_empty() {
            name
        } else {
            &part.target
        };
        folder_of(&base, path).is_some_and(|folder| remove(part, folder))
    });
    Ok(removed.count())
}
