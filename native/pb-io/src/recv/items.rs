//! Takes bundles apart.

use std::sync::atomic::Ordering;

use pb_proto::message::DecodeError;
use pb_proto::message::item::{Item, Items, Meta as ItemMeta, UNKNOWN_SIZE};
use pb_proto::message::note::{Note, Outcome};

use super::entries::{Want, Wanted};
use super::{Meta, RecvJob, policy, result};
use crate::error::Code;
use crate::fs::{FsError, Kind};
use crate::hash::Hash;
use crate::job::add;

impl From<&ItemMeta<'_>> for Meta {
    fn from(m: &ItemMeta<'_>) -> Meta {
        Meta {
            id: m.id,
            path: m.path.to_vec(),
            mtime_ns: m.mtime_ns,
            mode: m.mode & 0o7777,
            uid: m.uid,
            gid: m.gid,
        }
    }
}

impl RecvJob {
    /// Does what a bundle says. An error is a breach of the protocol.
    pub(super) fn bundle_arrived(&self, items: &[u8]) -> Result<(), DecodeError> {
        let _busy = self.gate.enter();
        let mut answers = Vec::new();
        for item in Items::new(items) {
            if self.stopped() {
                return Ok(());
            }
            self.item(item?, &mut answers);
        }
        if let Some(session) = self.session.upgrade().filter(|_| !answers.is_empty()) {
            session.send_notes(self.options.job, &answers);
        }
        let results = answers.iter().filter(|n| matches!(n, Note::Result { .. }));
        self.resolved(results.count());
        Ok(())
    }

    fn item(&self, item: Item<'_>, answers: &mut Vec<Note<'_>>) {
        match item {
            Item::Directory(meta) => self.at_once(&meta, true, |m| self.folder(m)),
            Item::Link { meta, target } => self.at_once(&meta, false, |m| self.link(m, target)),
            Item::Inline {
                meta,
                token,
                hash,
                content,
            } => {
                self.announced(content.len() as u64);
                let whole = |m: &Meta| self.small(m.clone(), &token, &hash, content);
                self.at_once(&meta, false, whole);
            }
            Item::Content { id, hash, content } => self.content(id, &hash, content),
            Item::Offer {
                meta,
                token,
                size,
                chunk_log2,
            } => self.offered(
                Wanted {
                    meta: Meta::from(&meta),
                    token,
                    size,
                    chunk_log2,
                },
                answers,
            ),
            Item::Open {
                meta,
                token,
                size,
                chunk_log2,
            } => {
                self.announced(size);
                let meta = Meta::from(&meta);
                match self.check_path(&meta, false) {
                    Ok(()) => self.open(&meta, size, chunk_log2, &token),
                    Err((code, text)) => self.fail_undecided(&meta, code, &text),
                }
            }
            Item::Holes { id, runs } => self.holes(id, runs),
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
    fn at_once(&self, meta: &ItemMeta<'_>, folder: bool, place: impl FnOnce(&Meta)) {
        let meta = Meta::from(meta);
        if self.entries.decide_unopened(meta.id).is_none() {
            return;
        }
        match self.check_path(&meta, folder) {
            Ok(()) => place(&meta),
            Err((code, text)) => self.fail_entry(meta.id, &meta.path, code, &text),
        }
    }

    /// The name of a single file was chosen here: a sender has no say in it, nor in what is beside it.
    pub(super) fn check_path(&self, meta: &Meta, folder: bool) -> Result<(), (Code, String)> {
        if self.stream.is_some() {
            return Ok(());
        }
        may_come(self.options.exact_name, meta, folder)
    }

    fn content(&self, id: u32, hash: &Hash, content: &[u8]) {
        if let Some(w) = self.entries.decide_wanted(id) {
            let total = &self.status.counters.total_bytes;
            // It may have another size by now.
            total.fetch_sub(w.known_bytes(), Ordering::Relaxed);
            add(total, content.len() as u64);
            self.small(w.meta, &w.token, hash, content);
        }
    }

    fn announced(&self, size: u64) {
        add(&self.status.counters.total_files, 1);
        add(&self.status.counters.total_bytes, known(size));
    }

    fn offered(&self, offer: Wanted, answers: &mut Vec<Note<'_>>) {
        self.withdraw_offer(offer.meta.id);
        self.announced(offer.size);
        let key = self.key(&offer.meta, &offer.token);
        if let Some(key) = key
            && self.resumed_whole(&offer, &key, answers)
        {
            return;
        }
        match self.wants(&offer.meta, offer.size) {
            Err((code, text)) => self.fail_undecided(&offer.meta, code, &text),
            Ok(false) if self.entries.decide_unopened(offer.meta.id).is_some() => {
                add(&self.status.counters.skipped_files, 1);
                add(&self.status.counters.skipped_bytes, offer.known_bytes());
                answers.push(result(offer.meta.id, Outcome::Skipped));
            }
            Ok(false) => {}
            Ok(true) => {
                let id = offer.meta.id;
                if key.is_some_and(|key| self.resumed_part(&offer, key)) {
                    return;
                }
                if self.want(offer) {
                    answers.push(Note::Want { id });
                }
            }
        }
    }

    fn wants(&self, meta: &Meta, size: u64) -> Result<bool, (Code, String)> {
        self.check_path(meta, false)?;
        // With nothing there, what is discarded has not even a folder to be looked for in.
        if self.stream.is_some() || (self.discards() && self.fresh) {
            return Ok(true);
        }
        match self.stat(self.place(&meta.path)) {
            Err(e) if e.code == Code::NotFound || e.code == Code::NotADirectory => Ok(true),
            Err(e) => Err((e.code, e.to_string())),
            Ok(there) if there.kind == Kind::Directory => {
                let text = "a folder is in the way of a file of that name";
                Err((Code::IsADirectory, text.into()))
            }
            Ok(there) => {
                let policy = self.options.overwrite;
                let wanted = policy::wants_file(policy, &there, size, meta.mtime_ns);
                let placed = || self.may_be_placed(&there, Kind::File, meta.mtime_ns);
                Ok(wanted || (there.size == size && placed()))
            }
        }
    }

    fn want(&self, wanted: Wanted) -> bool {
        let id = wanted.meta.id;
        match self.entries.want(wanted) {
            Want::Settled => return false,
            Want::TooMany => {
                self.breach("more offers than a sender may have out");
                return false;
            }
            Want::Noted { begun: true } => self.begin(id),
            Want::Noted { begun: false } => {}
        }
        true
    }

    pub(super) fn refuse(&self, meta: &Meta, e: &FsError) {
        self.fail_entry(meta.id, &meta.path, e.code, &e.to_string());
    }

    fn withdrawn(&self, id: u32, code: &[u8], text: &[u8]) {
        let Some(decided) = self.entries.decide(id) else {
            return;
        };
        if let Some(file) = &decided.large {
            self.discard_large(file);
        }
        let text = String::from_utf8_lossy(text);
        self.fail_entry(id, decided.path(), Code::from_wire(code), &text);
    }
}

/// Whether a sender may name a place so: it has a say in names below the base only, and in none where one file was asked for.
pub(super) fn may_come(exact_name: bool, meta: &Meta, folder: bool) -> Result<(), (Code, String)> {
    let clean = crate::fs::normalise("write", &meta.path);
    let clean = clean.map_err(|e| (e.code, e.to_string()))?;
    let refused = |text: &str| Err((Code::InvalidPath, text.to_string()));
    match (exact_name, clean.is_empty()) {
        _ if clean.len() != meta.path.len() => refused("a path with an empty or \".\" component"),
        (true, false) => refused("only the one file that was asked for can come"),
        (true, true) if folder => refused("a folder came where one file was asked for"),
        (false, true) if !folder => refused("an entry without a name"),
        _ => Ok(()),
    }
}

/// Bytes of a size as far as it is one.
pub(super) fn known(size: u64) -> u64 {
    if size == UNKNOWN_SIZE { 0 } else { size }
}
