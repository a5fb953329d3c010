//! From a root's descriptor and a normalised path to a descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

use super::path;

/// How a path is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// `openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)`.
    Openat2,
    /// Component by component, following links by hand: kernels before 5.6, and sandboxes that hide `openat2`.
    Walk,
    /// Ordinary resolution; links may lead anywhere.
    Host,
}

/// Why nothing was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The path leaves the root through a link.
    Escapes,
    Os(Errno),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Os(errno)
    }
}

/// `openat2` answers EAGAIN when a rename raced with its check; after this many the walk is used, which has no such answer.
const RACES: usize = 16;

/// Linux follows at most 40 links in one resolution (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Whether `openat2` works here. Old container sandboxes answer EPERM in place of ENOSYS.
pub(super) fn has_openat2(root: BorrowedFd<'_>) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(root, ".", flags, Mode::empty(), ResolveFlags::BENEATH).is_ok()
}

/// Opens `path` (normalised; empty: the root itself). `NOFOLLOW` concerns the last component only.
pub(super) fn open(
    engine: Engine,
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Failure> {
    let flags = flags | OFlags::CLOEXEC;
    let shown: &[u8] = if path.is_empty() { b"." } else { path };
    match engine {
        Engine::Host => Ok(retry(|| openat(root, shown, flags, mode))?),
        Engine::Openat2 => beneath(root, shown, flags, mode),
        Engine::Walk => walk(root, path, flags, mode),
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

fn beneath(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Failure> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RACES {
        match retry(|| openat2(root, path, flags, mode, resolve)) {
            Ok(fd) => return Ok(fd),
            Err(Errno::AGAIN) => {}
            Err(Errno::XDEV) => return Err(Failure::Escapes),
            Err(errno) => return Err(Failure::Os(errno)),
        }
    }
    walk(root, path, flags, mode)
}

const STEP: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a walk has got to: a real directory, and the link-free names that led there.
struct Position<'a> {
    root: BorrowedFd<'a>,
    dir: OwnedFd,
    names: Vec<Vec<u8>>,
}

impl Position<'_> {
    fn start(root: BorrowedFd<'_>) -> Result<Position<'_>, Failure> {
        let dir = openat(root, ".", STEP | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Position {
            root,
            dir,
            names: Vec::new(),
        })
    }

    /// `..` of a link's target. Comes down again from the root: the kernel's `..` of a directory that was moved
    /// meanwhile would lead out.
    fn up(&mut self) -> Result<(), Failure> {
        self.names.pop().ok_or(Failure::Escapes)?;
        let mut dir = openat(self.root, ".", STEP | OFlags::DIRECTORY, Mode::empty())?;
        for name in &self.names {
            dir = openat(
                &dir,
                name.as_slice(),
                STEP | OFlags::DIRECTORY,
                Mode::empty(),
            )?;
        }
        self.dir = dir;
        Ok(())
    }
}

fn walk(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Failure> {
    let exclusive = flags.contains(OFlags::CREATE | OFlags::EXCL);
    let follow_last = !flags.contains(OFlags::NOFOLLOW) && !exclusive;
    let mut at = Position::start(root)?;
    let mut pending: Vec<Vec<u8>> = path::components(path).rev().map(<[u8]>::to_vec).collect();
    let mut links = 0;
    while let Some(name) = pending.pop() {
        match name.as_slice() {
            b"." => continue,
            b".." => {
                at.up()?;
                continue;
            }
            _ => {}
        }
        let last = pending.is_empty();
        let fd = match openat(&at.dir, name.as_slice(), STEP, Mode::empty()) {
            Err(Errno::NOENT) if last && flags.contains(OFlags::CREATE) => {
                return Ok(openat(
                    &at.dir,
                    name.as_slice(),
                    flags | OFlags::NOFOLLOW,
                    mode,
                )?);
            }
            other => other?,
        };
        let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
        if kind == FileType::Symlink && (!last || follow_last) {
            links += 1;
            if links > MAX_LINKS {
                return Err(Failure::Os(Errno::LOOP));
            }
            follow(fd.as_fd(), &mut pending)?;
        } else if last {
            return Ok(openat(
                &at.dir,
                name.as_slice(),
                flags | OFlags::NOFOLLOW,
                mode,
            )?);
        } else if kind != FileType::Directory {
            return Err(Failure::Os(Errno::NOTDIR));
        } else {
            at.dir = fd;
            at.names.push(name);
        }
    }
    Ok(openat(
        &at.dir,
        ".",
        flags.difference(OFlags::NOFOLLOW),
        mode,
    )?)
}

fn follow(link: BorrowedFd<'_>, pending: &mut Vec<Vec<u8>>) -> Result<(), Failure> {
    let target = readlinkat(link, "", Vec::new())?.into_bytes();
    if target.first() == Some(&b'/') {
        return Err(Failure::Escapes);
    }
    if target.ends_with(b"/") || target.ends_with(b"/.") {
        // What comes before must then be a directory.
        pending.push(b".".to_vec());
    }
    pending.extend(path::components(&target).rev().map(<[u8]>::to_vec));
    Ok(())
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
