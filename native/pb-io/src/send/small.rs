//! Small files: opened, read whole, hashed, and put into bundles with folders and links.

use std::io::Read;

use pb_proto::message::item::{Item, Meta as ItemMeta, NO_TOKEN, UNKNOWN_SIZE, encoded_bound};

use super::bundle::Bundle;
use super::{Entry, INLINE_MAX, MAX_OFFERS, Numbered, SendJob};
use crate::error::Code;
use crate::fs::{FsError, Kind, Meta, stat_fd};
use crate::hash;
use std::fs::File;
use std::os::fd::AsFd;

/// What reading a small file gave.
pub(super) enum Read1 {
    Whole(Meta),
    /// It is too large for a bundle by now, or a carrier had room for another size: it is opened as it is.
    Grown(Meta),
    Failed(Code, String),
}

impl SendJob {
    /// Announces entries: folders and links themselves, files as offers.
    pub(super) fn offer(&self, entries: Vec<Numbered>) {
        let Some(mut bundle) = Bundle::new(self, entries.len() * 128) else {
            return;
        };
        for mut n in entries {
            match n.entry.kind {
                Kind::File => {
                    n.offered = n.listed();
                    self.put_offer(&mut bundle, n);
                }
                _ => self.special(&mut bundle, &n),
            }
        }
        bundle.send();
    }

    /// One file, to be answered.
    fn put_offer(&self, bundle: &mut Bundle<'_>, mut n: Numbered) {
        n.offers += 1;
        let size = match n.entry.pipe {
            Some(_) => UNKNOWN_SIZE,
            None => n.entry.size,
        };
        let item = Item::Offer {
            meta: item_meta(&n),
            token: n.offered,
            size,
            chunk_log2: self.options.chunk_bytes.trailing_zeros() as u8,
        };
        bundle.put(&item, encoded_bound(n.entry.target.len(), 0));
        // Known as offered before the answer can come.
        self.plan.lock().offer(n);
    }

    /// The file is not what was offered: that is withdrawn, and the file offered as it is.
    pub(super) fn offer_again(&self, bundle: &mut Bundle<'_>, mut n: Numbered, now: &Meta) {
        self.remember(n.id, now);
        n.learn(now);
        n.resume = None;
        n.offered = match n.offers < MAX_OFFERS {
            true => n.opened(now),
            false => NO_TOKEN,
        };
        self.put_offer(bundle, n);
    }

    /// Sends entries whole.
    pub(super) fn small(&self, entries: Vec<Numbered>, wanted: bool, scratch: &mut Vec<u8>) {
        let Some(mut bundle) = Bundle::new(self, INLINE_MAX as usize) else {
            return;
        };
        let mut ahead = self.read_ahead(&entries);
        for n in entries {
            match n.entry.kind {
                Kind::File => {
                    let read = match ahead.pop_front() {
                        Some(asked) => self.await_whole(asked, scratch),
                        None => self.read_whole(&n.entry, scratch),
                    };
                    self.small_file(n, (read, wanted), scratch, &mut bundle);
                }
                _ => self.special(&mut bundle, &n),
            }
        }
        bundle.send();
    }

    fn small_file(
        &self,
        mut n: Numbered,
        (read, wanted): (Read1, bool),
        scratch: &[u8],
        bundle: &mut Bundle<'_>,
    ) {
        match read {
            Read1::Whole(meta) | Read1::Grown(meta) if n.has_changed(&meta) => {
                self.offer_again(bundle, n, &meta);
            }
            Read1::Whole(meta) => {
                let hash = hash::whole(scratch);
                n.learn(&meta);
                self.remember(n.id, &meta);
                self.hashed(n.id, hash);
                let bound = encoded_bound(n.entry.target.len(), scratch.len());
                let item = match wanted {
                    true => Item::Content {
                        id: n.id,
                        hash,
                        content: scratch,
                    },
                    false => Item::Inline {
                        meta: item_meta(&n),
                        token: n.opened(&meta),
                        hash,
                        content: scratch,
                    },
                };
                bundle.put(&item, bound);
            }
            Read1::Grown(meta) => {
                n.entry.size = meta.size;
                self.plan.lock().grown(n);
                self.work.notify_one();
            }
            Read1::Failed(code, text) => {
                withdraw(bundle, n.id, code, &text);
            }
        }
    }

    fn hashed(&self, id: u32, hash: hash::Hash) {
        if let Some(sent) = self.plan.lock().sent.get_mut(&id) {
            sent.hash = Some(hash);
        }
    }

    /// A folder or link; of a link that is to be moved the inode is remembered.
    fn special(&self, bundle: &mut Bundle<'_>, n: &Numbered) {
        if self.options.remove_sources
            && n.entry.kind == Kind::Symlink
            && let Some(root) = self.options.roots.get(n.entry.root)
            && let Ok(there) = root.stat(&n.entry.source, false)
            && let Some(sent) = self.plan.lock().sent.get_mut(&n.id)
        {
            sent.inode = Some((there.device, there.inode));
        }
        put_special(bundle, n);
    }

    fn read_whole(&self, entry: &Entry, scratch: &mut Vec<u8>) -> Read1 {
        for _ in 0..3 {
            let read = match self.open_source(entry) {
                Ok((file, meta)) => read_once(&file, meta, scratch),
                Err(e) => return failed(&e),
            };
            match read {
                Ok(Some(done)) => return done,
                Ok(None) => continue,
                Err(e) => return Read1::Failed(Code::IoError, e.to_string()),
            }
        }
        Read1::Failed(
            Code::SourceChanged,
            "the file keeps changing while it is read".into(),
        )
    }

    /// Opens the source of an entry.
    pub(super) fn open_source(&self, entry: &Entry) -> Result<(File, Meta), FsError> {
        let root = self.options.roots.get(entry.root);
        let root =
            root.ok_or_else(|| FsError::refused("open", &entry.source, Code::InvalidArgument))?;
        root.open_listed(&entry.source, self.options.follow)
    }
}

/// `None`: it changed while it was read.
fn read_once(
    mut file: &File,
    before: Meta,
    scratch: &mut Vec<u8>,
) -> std::io::Result<Option<Read1>> {
    if before.size > INLINE_MAX {
        return Ok(Some(Read1::Grown(before)));
    }
    scratch.clear();
    scratch.resize(before.size as usize, 0);
    let mut at = 0;
    while at < scratch.len() {
        match file.read(&mut scratch[at..])? {
            0 => return Ok(None),
            n => at += n,
        }
    }
    let after = stat_fd(file.as_fd())?;
    let same = after.size == before.size
        && after.mtime_ns == before.mtime_ns
        && after.ctime_ns == before.ctime_ns;
    Ok(same.then_some(Read1::Whole(after)))
}

fn failed(e: &FsError) -> Read1 {
    let code = if e.code == Code::NotFound {
        Code::SourceVanished
    } else {
        e.code
    };
    Read1::Failed(code, e.to_string())
}

/// A folder or link.
fn put_special(bundle: &mut Bundle<'_>, n: &Numbered) {
    let target = &n.entry.link_target;
    let bound = encoded_bound(n.entry.target.len(), target.len());
    match n.entry.kind {
        Kind::Directory => bundle.put(&Item::Directory(item_meta(n)), bound),
        Kind::Symlink => bundle.put(
            &Item::Link {
                meta: item_meta(n),
                target,
            },
            bound,
        ),
        _ => withdraw(
            bundle,
            n.id,
            Code::UnsupportedKind,
            "neither file, folder nor link",
        ),
    }
}

pub(super) fn withdraw(bundle: &mut Bundle<'_>, id: u32, code: Code, text: &str) {
    let item = Item::Withdraw {
        id,
        code: code.as_str().as_bytes(),
        text: text.as_bytes(),
    };
    bundle.put(&item, encoded_bound(64, text.len()));
}

pub(super) fn item_meta(n: &Numbered) -> ItemMeta<'_> {
    ItemMeta {
        id: n.id,
        path: &n.entry.target,
        mtime_ns: n.entry.mtime_ns,
        mode: n.entry.mode,
        uid: n.entry.uid,
        gid: n.entry.gid,
    }
}
