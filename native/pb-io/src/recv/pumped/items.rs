//! Takes bundles apart.

use std::sync::atomic::Ordering;

use pb_proto::message::DecodeError;
use pb_proto::message::item::{Item, Items};
use pb_proto::message::note::{Note, Outcome};

use super::super::Meta;
use super::super::early::Early;
use super::super::entries::{Want, Wanted};
use super::super::items::{known, may_come};
use super::{PumpedRecv, subject};
use crate::error::Code;
use crate::fs::Kind;
use crate::hash::{self, Hash};
use crate::job::add;
use crate::pump::{Answer, Ask, Memory, Reply};
use crate::source::FileKey;

impl PumpedRecv {
    pub(super) fn bundle_arrived(&self, items: &[u8]) -> Result<(), DecodeError> {
        for item in Items::new(items) {
            if self.stopped() {
                return Ok(());
            }
            self.item(item?);
        }
        Ok(())
    }

    fn item(&self, item: Item<'_>) {
        match item {
            Item::Directory(meta) => self.at_once(Meta::from(&meta), true, |m| self.folder(m)),
            Item::Link { meta, target } => {
                self.at_once(Meta::from(&meta), false, |m| self.link(m, target));
            }
            Item::Inline {
                meta,
                token,
                hash,
                content,
            } => {
                self.announced(content.len() as u64);
                self.at_once(Meta::from(&meta), false, |m| {
                    let key = self.key(&m, &token);
                    self.small(m, key, &hash, content);
                });
            }
            Item::Content { id, hash, content } => self.content(id, &hash, content),
            Item::Offer {
                meta,
                token,
                size,
                chunk_log2,
            } => self.offered(Wanted {
                meta: Meta::from(&meta),
                token,
                size,
                chunk_log2,
            }),
            Item::Open {
                meta,
                token,
                size,
                chunk_log2,
            } => {
                self.announced(size);
                let file = Wanted {
                    meta: Meta::from(&meta),
                    token,
                    size,
                    chunk_log2,
                };
                match self.check_path(&file.meta, false) {
                    Ok(()) => self.open(file),
                    Err((code, text)) if self.entries.decide(file.meta.id).is_some() => {
                        self.fail_entry(file.meta.id, &file.meta.path, code, &text);
                    }
                    Err(_) => {}
                }
            }
            // It was told that holes are data here; it may say that there are none.
            Item::Holes { runs, .. } if runs.is_empty() => {}
            Item::Holes { .. } => self.breach("holes, where all data was asked for"),
            Item::End { id, size, hash } => self.end(id, size, hash),
            Item::Withdraw { id, code, text } => self.withdrawn(id, code, text),
            Item::Finish { entries } => {
                if self.entries.expect(entries) {
                    self.status.ending();
                }
                self.check_finished();
            }
        }
    }

    /// An entry of which nothing more comes.
    fn at_once(&self, meta: Meta, folder: bool, place: impl FnOnce(Meta)) {
        if self.entries.decide_unopened(meta.id).is_none() {
            return;
        }
        match self.check_path(&meta, folder) {
            Ok(()) => place(meta),
            Err((code, text)) => self.fail_entry(meta.id, &meta.path, code, &text),
        }
    }

    fn check_path(&self, meta: &Meta, folder: bool) -> Result<(), (Code, String)> {
        may_come(self.options.exact_name, meta, folder)
    }

    fn announced(&self, size: u64) {
        add(&self.status.counters.total_files, 1);
        add(&self.status.counters.total_bytes, known(size));
    }

    fn folder(&self, meta: Meta) {
        let ask = Ask::Folder(subject(&meta, Kind::Directory, 0));
        self.ask(ask, Memory::None, move |job, _, answer| {
            job.placed(&meta, answer, &job.status.counters.directories);
        });
    }

    fn link(&self, meta: Meta, target: &[u8]) {
        let ask = Ask::Link(subject(&meta, Kind::Symlink, 0));
        let memory = Memory::Bytes(target.to_vec());
        self.ask(ask, memory, move |job, _, answer| {
            job.placed(&meta, answer, &job.status.counters.symlinks);
        });
    }

    fn placed(&self, meta: &Meta, answer: Answer, counter: &std::sync::atomic::AtomicU64) {
        match answer {
            Ok(Reply::Wanted(false)) => self.resolve(meta.id, Outcome::Skipped),
            Ok(_) => {
                add(counter, 1);
                self.resolve(meta.id, Outcome::Placed);
            }
            Err(e) => self.fail_entry(meta.id, &meta.path, e.code, &e.message),
        }
    }

    /// A whole small file: verified and handed over.
    fn small(&self, meta: Meta, key: Option<FileKey>, expected: &Hash, content: &[u8]) {
        if hash::whole(content) != *expected {
            let text = "the content does not match the sender's hash";
            return self.fail_entry(meta.id, &meta.path, Code::VerificationFailed, text);
        }
        let (len, hash) = (content.len(), *expected);
        self.pace(len);
        let ask = Ask::Put(subject(&meta, Kind::File, len as u64));
        let memory = Memory::Bytes(content.to_vec());
        self.ask(ask, memory, move |job, _, answer| {
            job.paced(len);
            match answer {
                Ok(_) => {
                    job.count(len as u64);
                    job.finished(&meta, key, (len as u64, hash));
                }
                Err(e) => job.fail_entry(meta.id, &meta.path, e.code, &e.message),
            }
        });
    }

    fn content(&self, id: u32, hash: &Hash, content: &[u8]) {
        let Some(wanted) = self.entries.decide_wanted(id) else {
            return;
        };
        let total = &self.status.counters.total_bytes;
        // It may have another size by now.
        total.fetch_sub(wanted.known_bytes(), Ordering::Relaxed);
        add(total, content.len() as u64);
        let key = self.key(&wanted.meta, &wanted.token);
        self.small(wanted.meta, key, hash, content);
    }

    fn offered(&self, offer: Wanted) {
        let id = offer.meta.id;
        self.withdraw_offer(id);
        self.announced(offer.size);
        if let Err((code, text)) = self.check_path(&offer.meta, false) {
            if self.entries.decide(id).is_some() {
                self.fail_entry(id, &offer.meta.path, code, &text);
            }
            return;
        }
        match self.finished_before(&offer) {
            Some(hash) => self.ask_known(offer, hash),
            None => self.ask_wanted(offer),
        }
    }

    pub(super) fn ask_wanted(&self, offer: Wanted) {
        let id = offer.meta.id;
        let ask = Ask::Offer(subject(&offer.meta, Kind::File, offer.known_bytes()));
        self.ask(ask, Memory::None, move |job, _, answer| match answer {
            Ok(Reply::Wanted(false)) if job.entries.decide(id).is_some() => {
                add(&job.status.counters.skipped_files, 1);
                add(&job.status.counters.skipped_bytes, offer.known_bytes());
                job.resolve(id, Outcome::Skipped);
            }
            Ok(Reply::Wanted(false)) => {}
            Ok(_) => job.resume_or_want(offer),
            Err(e) if job.entries.decide(id).is_some() => {
                job.fail_entry(id, &offer.meta.path, e.code, &e.message);
            }
            Err(_) => {}
        });
    }

    pub(super) fn want(&self, wanted: Wanted) {
        let id = wanted.meta.id;
        match self.entries.want(wanted) {
            Want::Settled => return,
            Want::TooMany => return self.breach("more offers than a sender may have out"),
            Want::Noted { .. } => {}
        }
        if let Some(session) = self.session.upgrade() {
            session.send_notes(self.options.job, &[Note::Want { id }]);
        }
    }

    fn end(&self, id: u32, size: u64, hash: Hash) {
        if let Some((file, _)) = self.large_or_early(id, Early::End { size, hash }) {
            file.set_end(size, hash);
            self.check_complete(&file);
        }
    }

    fn withdrawn(&self, id: u32, code: &[u8], text: &[u8]) {
        let Some(decided) = self.entries.decide(id) else {
            return;
        };
        if let Some(file) = &decided.large {
            self.give_up(file);
        }
        let text = String::from_utf8_lossy(text);
        self.fail_entry(id, decided.path(), Code::from_wire(code), &text);
    }
}
