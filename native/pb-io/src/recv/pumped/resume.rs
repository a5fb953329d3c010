//! Offered files that an earlier run had at the carrier's end, whole or in part.

use std::sync::Arc;

use pb_proto::message::note::Outcome;

use super::super::Meta;
use super::super::checkpoint::{Durable, PartRecord};
use super::super::entries::Wanted;
use super::super::file::{Known, LargeFile};
use super::super::resume::have_notes;
use super::durable::Keeping;
use super::{PumpedRecv, subject};
use crate::fs::Kind;
use crate::hash::Hash;
use crate::job::{Redone, add};
use crate::pump::{Ask, Memory, Reply};

impl PumpedRecv {
    /// The root hash of an offered file that an earlier run finished.
    pub(super) fn finished_before(&self, offer: &Wanted) -> Option<Hash> {
        let key = self.key(&offer.meta, &offer.token)?;
        self.keeping.as_ref()?.past.done(&key)
    }

    /// Is what was finished still there? It is not read.
    pub(super) fn ask_known(&self, offer: Wanted, hash: Hash) {
        let id = offer.meta.id;
        let ask = Ask::Known(subject(&offer.meta, Kind::File, offer.known_bytes()));
        self.ask(ask, Memory::None, move |job, _, answer| match answer {
            Ok(Reply::Wanted(false)) if job.entries.decide(id).is_some() => {
                let size = offer.known_bytes();
                job.status.resumed(&offer.meta.path, size, Some(hash));
                job.count(size);
                job.resolve(id, Outcome::Resumed { hash: Some(hash) });
            }
            Ok(Reply::Wanted(false)) => {}
            // Whatever the reason is, it comes again with this.
            Ok(_) | Err(_) => job.ask_wanted(offer),
        });
    }

    /// Goes on with what there is of a wanted file, or has it sent whole. What can't be used is removed.
    pub(super) fn resume_or_want(&self, offer: Wanted) {
        let Some(keeping) = &self.keeping else {
            return self.want(offer);
        };
        let key = self.key(&offer.meta, &offer.token);
        let mut why = key.and_then(|key| match keeping.past.done(&key) {
            Some(_) => Some(Redone::DestinationChanged),
            None => (keeping.past.was_done(&key)).then_some(Redone::SourceChanged),
        });
        let mut same = None;
        for part in keeping.past.take(&offer.meta.path) {
            if same.is_none() && Some(part.key) == key && part.size == offer.size {
                same = Some(part);
                continue;
            }
            why = Some(Redone::SourceChanged);
            self.drop_part(keeping, &part);
        }
        let Some(part) = same else {
            return self.begin_anew(offer, why);
        };
        let room = self.entries.may_resume();
        match part.durable().filter(|d| room && !d.runs.is_empty()) {
            Some(durable) => {
                let reach = durable.have.max().map_or(0, |last| last + 1) * part.chunk_bytes;
                self.ask_resume(offer, part, reach);
            }
            None => {
                let begun = part.chunks.is_empty();
                self.drop_part(keeping, &part);
                self.begin_anew(offer, (!begun).then_some(Redone::PartUnusable).or(why));
            }
        }
    }

    fn ask_resume(&self, offer: Wanted, part: PartRecord, reach: u64) {
        let about = subject(&offer.meta, Kind::File, part.size);
        let ask = Ask::Resume(about, reach.min(part.size));
        let state = Memory::Bytes(part.temporary.clone());
        self.ask(ask, state, move |job, _, answer| {
            let Some(keeping) = &job.keeping else {
                return;
            };
            let why = match answer {
                Ok(Reply::Has(ranges)) if job.go_on(keeping, &offer, &part, &ranges) => return,
                Ok(_) => {
                    job.pump.tell(Ask::Discard { id: offer.meta.id });
                    Redone::PartChanged
                }
                Err(_) => Redone::PartLost,
            };
            job.drop_part(keeping, &part);
            job.begin_anew(offer, Some(why));
        });
    }

    fn begin_anew(&self, offer: Wanted, why: Option<Redone>) {
        if let Some(why) = why {
            self.status.redone(&offer.meta.path, why);
        }
        self.want(offer);
    }

    /// False when something that was recorded is not there any more: what else is there then, nobody knows.
    fn go_on(
        &self,
        keeping: &Keeping,
        offer: &Wanted,
        part: &PartRecord,
        ranges: &[(u64, u64)],
    ) -> bool {
        let id = offer.meta.id;
        let Some(durable) = part.durable().filter(|d| is_within(d, part, ranges)) else {
            return false;
        };
        if !keeping.ledger.begin(part.key, id) {
            return false;
        }
        keeping.ledger.adopt(part.key);
        let known = Known {
            key: part.key,
            size: part.size,
        };
        let file = resumed(&offer.meta, known, (part.chunk_bytes, &durable));
        let bytes = file.written();
        let counters = &self.status.counters;
        add(&counters.bytes, bytes);
        if !self.entries.open_resumed(&file) {
            // Its fate was decided meanwhile.
            self.give_up(&file);
            return true;
        }
        add(&counters.resumed_files, 1);
        add(&counters.resumed_bytes, bytes);
        if let Some(session) = self.session.upgrade() {
            session.send_notes(
                self.options.job,
                &have_notes(id, part.chunk_bytes, &durable),
            );
        }
        true
    }

    /// An offer said again begins the file anew: as if the one before had not been.
    pub(super) fn withdraw_offer(&self, id: u32) {
        if let Some(file) = self.entries.withdraw(id, &self.status.counters) {
            self.status.redone(&file.meta.path, Redone::SourceChanged);
            self.give_up(&file);
        }
    }

    /// Every entry has its result: parts that no source came for will never be asked for.
    pub(super) fn drop_unclaimed_parts(&self) {
        if let Some(keeping) = &self.keeping {
            for part in keeping.past.take_all() {
                self.drop_part(keeping, &part);
            }
        }
    }

    /// Removes what is there of a part, and its record.
    fn drop_part(&self, keeping: &Keeping, part: &PartRecord) {
        let meta = Meta {
            id: 0,
            path: part.target.clone(),
            mtime_ns: 0,
            mode: 0,
            uid: 0,
            gid: 0,
        };
        let ask = Ask::Forget(subject(&meta, Kind::File, part.size));
        let state = Memory::Bytes(part.temporary.clone());
        self.pump.ask(ask, state, Box::new(|_, _| {}));
        keeping.ledger.forget(&part.key);
    }
}

fn resumed(
    meta: &Meta,
    known: Known,
    (chunk_bytes, durable): (u64, &Durable<'_>),
) -> Arc<LargeFile> {
    let meta = meta.clone();
    Arc::new(LargeFile::resumed(meta, known, None, durable, chunk_bytes))
}

/// Does the end have every byte that was recorded as durable?
fn is_within(durable: &Durable<'_>, part: &PartRecord, ranges: &[(u64, u64)]) -> bool {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (from, to) in ranges {
        match joined.last_mut() {
            Some(last) if last.1 >= from => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    durable.runs.iter().all(|(first, values)| {
        let from = first * part.chunk_bytes;
        let to = (from + values.len() as u64 * part.chunk_bytes).min(part.size);
        joined.iter().any(|&(a, b)| a <= from && to <= b)
    })
}
