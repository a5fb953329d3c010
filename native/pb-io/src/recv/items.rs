//! Takes bundles apart.

use std::sync::atomic::Ordering;

use pb_proto::message::DecodeError;
use pb_proto::message::item::{Item, Items, Meta as ItemMeta, UNKNOWN_SIZE};
use pb_proto::message::note::{Note, Outcome};

use super::{Meta, RecvJob, policy};
use crate::error::Code;
use crate::fs::{FsError, Kind};
use crate::job::add;
use crate::send::{INLINE_MAX, parse_code};

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
    pub(crate) fn bundle(&self, items: &[u8]) -> Result<(), DecodeError> {
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
        Ok(())
    }

    fn item(&self, item: Item<'_>, answers: &mut Vec<Note<'_>>) {
        match item {
            Item::Directory(meta) => self.folder(&Meta::from(&meta)),
            Item::Link { meta, target } => self.link(&Meta::from(&meta), target),
            Item::Inline {
                meta,
                hash,
                content,
            } => {
                self.announced(content.len() as u64);
                self.small(Meta::from(&meta), &hash, content);
            }
            Item::Content { id, hash, content } => {
                let wanted = self.state.lock().wanted.remove(&id);
                if let Some((meta, _)) = wanted {
                    self.small(meta, &hash, content);
                }
            }
            Item::Offer {
                meta,
                size,
                chunk_log2,
            } => {
                self.announced(size);
                self.offered(&Meta::from(&meta), size, chunk_log2, answers);
            }
            Item::Open {
                meta,
                size,
                chunk_log2,
            } => {
                self.announced(size);
                self.open(&Meta::from(&meta), size, chunk_log2);
            }
            Item::Holes { id, runs } => self.holes(id, runs),
            Item::End { id, size, hash } => self.end(id, size, hash),
            Item::Withdraw { id, code, text } => self.withdrawn(id, code, text),
            Item::Finish { entries } => {
                let mut s = self.state.lock();
                s.total = Some(entries);
                self.check_finished(&mut s);
            }
        }
    }

    fn announced(&self, size: u64) {
        add(&self.status.counters.total_files, 1);
        if size != UNKNOWN_SIZE {
            add(&self.status.counters.total_bytes, size);
        }
    }

    fn offered(&self, meta: &Meta, size: u64, chunk_log2: u8, answers: &mut Vec<Note<'_>>) {
        let there = self.base.stat(self.place(&meta.path), false);
        let wanted = match there {
            Err(e) if e.code == Code::NotFound || e.code == Code::NotADirectory => true,
            Err(e) => return self.refuse(meta, &e),
            Ok(there) if there.kind == Kind::Directory => {
                let text = "a folder is in the way of a file of that name";
                return self.fail_entry(meta.id, &meta.path, Code::IsADirectory, text);
            }
            Ok(there) => policy::wants_file(self.options.overwrite, &there, size, meta.mtime_ns),
        };
        if !wanted {
            add(&self.status.counters.skipped_files, 1);
            add(&self.status.counters.skipped_bytes, size);
            return self.resolve(&[(meta.id, Outcome::Skipped)]);
        }
        if size == UNKNOWN_SIZE || size > INLINE_MAX {
            if !self.open(meta, size, chunk_log2) {
                return;
            }
        } else {
            self.state
                .lock()
                .wanted
                .insert(meta.id, (meta.clone(), u64::from(chunk_log2)));
        }
        answers.push(Note::Want { id: meta.id });
    }

    /// An offered small file has grown: its chunks come instead.
    pub(super) fn grown(&self, id: u32) -> bool {
        let Some((meta, log2)) = self.state.lock().wanted.remove(&id) else {
            return false;
        };
        self.open(&meta, UNKNOWN_SIZE, log2 as u8)
    }

    pub(super) fn refuse(&self, meta: &Meta, e: &FsError) {
        self.fail_entry(meta.id, &meta.path, e.code, &e.to_string());
    }

    fn withdrawn(&self, id: u32, code: &[u8], text: &[u8]) {
        let (path, file) = {
            let mut s = self.state.lock();
            if !s.dropped.insert(id) {
                return;
            }
            s.early.remove(&id);
            let file = s.large.remove(&id);
            let small = s.wanted.remove(&id);
            let path = file
                .as_ref()
                .map(|f| f.meta.path.clone())
                .or(small.map(|(m, _)| m.path))
                .unwrap_or_default();
            (path, file)
        };
        if let Some(file) = file {
            file.discard();
            self.status
                .counters
                .bytes
                .fetch_sub(file.written(), Ordering::Relaxed);
        }
        self.fail_entry(id, &path, parse_code(code), &String::from_utf8_lossy(text));
    }
}
