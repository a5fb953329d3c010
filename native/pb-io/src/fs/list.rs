//! One directory's entries.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{RawDir, SeekFrom, seek};
use rustix::io::Errno;

use super::stat::{Meta, stat_at};
use super::{FsError, Root, path};

/// What glibc and the kernel's readahead are tuned for.
const DENTS: usize = 32 * 1024;

/// The names of a directory in byte order, packed: a million names of 20 bytes take 28 MB.
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Start in `bytes` and length; a name has at most 255 bytes.
    spans: Vec<(u32, u8)>,
    next: usize,
}

impl Names {
    /// Reads all names of an open directory. An error in the middle comes with the names read so far.
    pub(super) fn read(dir: BorrowedFd<'_>) -> (Names, Option<Errno>) {
        let mut names = Names {
            bytes: Vec::new(),
            spans: Vec::new(),
            next: 0,
        };
        let trouble = names.fill(dir).err();
        let Names { bytes, spans, .. } = &mut names;
        spans.sort_unstable_by(|a, b| slice(bytes, *a).cmp(slice(bytes, *b)));
        (names, trouble)
    }

    fn fill(&mut self, dir: BorrowedFd<'_>) -> Result<(), Errno> {
        seek(dir, SeekFrom::Start(0))?;
        let mut buffer = vec![MaybeUninit::uninit(); DENTS];
        let mut entries = RawDir::new(dir, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let start = u32::try_from(self.bytes.len()).map_err(|_| Errno::OVERFLOW)?;
            let length = u8::try_from(name.len()).map_err(|_| Errno::NAMETOOLONG)?;
            self.bytes.extend_from_slice(name);
            self.spans.push((start, length));
        }
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let span = *self.spans.get(self.next)?;
        self.next += 1;
        Some(slice(&self.bytes, span))
    }
}

fn slice(bytes: &[u8], (start, length): (u32, u8)) -> &[u8] {
    let start = start as usize;
    &bytes[start..start + usize::from(length)]
}

/// The entries of one directory by name; entries that vanish while it is read are left out.
pub struct DirReader {
    dir: OwnedFd,
    base: Vec<u8>,
    names: Names,
    trouble: Option<Errno>,
}

impl Root {
    /// Opens a directory to be listed.
    pub fn list(&self, path: &[u8]) -> Result<DirReader, FsError> {
        let base = path::normalise("list", path)?.into_owned();
        let dir = self.open_dir(&base)?;
        let (names, trouble) = Names::read(dir.as_fd());
        Ok(DirReader {
            dir,
            base,
            names,
            trouble,
        })
    }
}

impl Iterator for DirReader {
    type Item = Result<(Vec<u8>, Meta), FsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(name) = self.names.next() else {
                let errno = self.trouble.take()?;
                return Some(Err(FsError::os("list", &self.base, errno)));
            };
            match stat_at(self.dir.as_fd(), name) {
                Ok(meta) => return Some(Ok((name.to_vec(), meta))),
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Some(Err(FsError::os(
                        "stat",
                        &path::join(&self.base, name),
                        errno,
                    )));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::super::testing::Scratch;
    use super::super::{Kind, Resolve};
    use super::*;

    #[test]
    fn names_are_byte_exact_and_sorted() {
        let scratch = Scratch::new();
        let long = [b'z'; 255];
        let names: [&[u8]; 5] = [b"\n", b"a b", b"caf\xe9", b"\xff\xfe", &long];
        for name in names {
            std::fs::write(scratch.path().join(std::ffi::OsStr::from_bytes(name)), b"x").unwrap();
        }
        let root = Root::open(scratch.path(), Resolve::Beneath, false).unwrap();
        let seen: Vec<Vec<u8>> = root.list(b"").unwrap().map(|e| e.unwrap().0).collect();
        let mut want: Vec<Vec<u8>> = names.iter().map(|n| n.to_vec()).collect();
        want.sort();
        assert_eq!(seen, want);
    }

    #[test]
    fn gives_links_with_their_target_unfollowed() {
        let scratch = Scratch::new();
        std::os::unix::fs::symlink("/nowhere/\u{1}", scratch.path().join("l")).unwrap();
        let root = Root::open(scratch.path(), Resolve::Beneath, false).unwrap();
        let (name, meta) = root.list(b"").unwrap().next().unwrap().unwrap();
        assert_eq!((name.as_slice(), meta.kind), (&b"l"[..], Kind::Symlink));
        assert_eq!(meta.link_target.unwrap(), b"/nowhere/\x01");
    }

    #[test]
    fn more_names_than_one_read_holds() {
        let scratch = Scratch::new();
        for n in 0..3000 {
            std::fs::write(
                scratch
                    .path()
                    .join(format!("a rather long file name number {n:05}")),
                b"",
            )
            .unwrap();
        }
        let root = Root::open(scratch.path(), Resolve::Host, false).unwrap();
        assert_eq!(root.list(b"").unwrap().filter(Result::is_ok).count(), 3000);
    }
}
