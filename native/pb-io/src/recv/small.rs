//! Small files and links, written whole.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use pb_proto::message::item::SourceToken;
use pb_proto::message::note::Outcome;
use rustix::io::Errno;

use super::commit::{Commit, Ready};
use super::policy::Overwrite;
use super::temp::{Temp, apply};
use super::{Meta, RecvJob};
use crate::error::Code;
use crate::fs::{Kind, meta as attr};
use crate::hash::{self, Hash};
use crate::job::add;

impl RecvJob {
    /// A whole small file: verified, written under a temporary name, handed to the committer.
    pub(super) fn small(&self, meta: Meta, token: &SourceToken, expected: &Hash, content: &[u8]) {
        if self.stream.is_some() {
            return self.small_to_stream(&meta, expected, content);
        }
        if hash::whole(content) != *expected {
            let text = "the content does not match the sender's hash";
            return self.fail_entry(meta.id, &meta.path, Code::VerificationFailed, text);
        }
        if self.discards() {
            self.count(content.len() as u64);
            return self.discarded(&meta, content.len() as u64, *expected);
        }
        self.pace();
        let path = self.place(&meta.path);
        let (folder, name) = match self.parent(path) {
            Ok(found) => found,
            Err(e) => return self.refuse(&meta, &e),
        };
        match self.write_small(folder, name, &meta, content) {
            Ok(temp) => {
                self.copied(content.len());
                self.count(content.len() as u64);
                let size = content.len() as u64;
                let key = self.key(&meta, token);
                self.commit(Commit::File(Ready {
                    meta,
                    temp,
                    file: None,
                    size,
                    hash: *expected,
                    key,
                    syncs: None,
                }));
            }
            Err(e) => self.fail_os(&meta, "write", e),
        }
    }

    fn write_small(
        &self,
        folder: Arc<OwnedFd>,
        name: &[u8],
        meta: &Meta,
        content: &[u8],
    ) -> Result<Temp, Errno> {
        let (temp, mut file) = Temp::file(folder, self.name_tag, name)?;
        let written = file
            .write_all(content)
            .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
            .and_then(|()| apply(&file, meta, &self.options));
        match written {
            Ok(()) => Ok(temp),
            Err(e) => {
                temp.discard();
                Err(e)
            }
        }
    }

    /// A system call failed for an entry.
    pub(super) fn fail_os(&self, meta: &Meta, op: &str, e: Errno) {
        let (code, text) = self.os_text(meta, op, e);
        self.fail_entry(meta.id, &meta.path, code, &text);
    }

    /// A symbolic link, by the policy; in place at once, durable with the next group.
    pub(super) fn link(&self, meta: &Meta, target: &[u8]) {
        if self.stream.is_some() {
            let text = "a link can't go to a stream";
            return self.fail_entry(meta.id, &meta.path, Code::UnsupportedKind, text);
        }
        let path = self.place(&meta.path);
        if !self.fresh {
            match self.base.stat(path, false) {
                Ok(there) if there.kind == Kind::Directory => {
                    let text = "a folder is in the way of a link of that name";
                    return self.fail_entry(meta.id, &meta.path, Code::IsADirectory, text);
                }
                Ok(there) if self.keeps_link(&there, meta, target) => {
                    if self.link_is_placed(&there, meta, target) {
                        add(&self.status.counters.symlinks, 1);
                        return self.resolve(&[(meta.id, Outcome::Placed)]);
                    }
                    return self.resolve(&[(meta.id, Outcome::Skipped)]);
                }
                _ => {}
            }
        }
        if self.discards() {
            return self.discard_link(meta);
        }
        self.pace();
        let (folder, name) = match self.parent(path) {
            Ok(found) => found,
            Err(e) => return self.refuse(meta, &e),
        };
        match self.make_link(folder, name, meta, target) {
            Ok(temp) => self.commit(Commit::Link {
                id: meta.id,
                path: meta.path.clone(),
                temp,
            }),
            Err(e) => self.fail_os(meta, "symlink", e),
        }
    }

    fn keeps_link(&self, there: &crate::fs::Meta, meta: &Meta, target: &[u8]) -> bool {
        let same = there.kind == Kind::Symlink && there.link_target.as_deref() == Some(target);
        match self.options.overwrite {
            Overwrite::Always => false,
            Overwrite::Never => true,
            Overwrite::IfDifferent => same,
            Overwrite::IfNewer => same || meta.mtime_ns <= there.mtime_ns,
        }
    }

    fn make_link(
        &self,
        folder: Arc<OwnedFd>,
        name: &[u8],
        meta: &Meta,
        target: &[u8],
    ) -> Result<Temp, Errno> {
        let temp = Temp::link(folder, self.name_tag, name, target)?;
        let owned = match self.options.owner {
            true => attr::set_owner_at(temp.folder(), temp.temporary(), meta.uid, meta.gid),
            false => Ok(()),
        };
        owned
            .and_then(|()| attr::set_times_at(temp.folder(), temp.temporary(), meta.mtime_ns))
            .inspect_err(|_| temp.discard())?;
        Ok(temp)
    }
}
