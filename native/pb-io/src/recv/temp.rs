//! A file under its temporary name, beside where it will be.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::Meta;
use super::{RecvOptions, policy::Overwrite};
use crate::fs::meta::{self as attr, SpecialBits};

/// A temporary name in a folder; removed by `discard`, made final by `publish`.
pub(super) struct Temp {
    folder: Arc<OwnedFd>,
    temporary: Vec<u8>,
    name: Vec<u8>,
}

/// `.pb-`, whose it is, a count, `.part`: never longer than 40 bytes, so no name gets too long by it. Names with the tag of a
/// job are that job's in whatever run: those that a killed one left can be told from another's.
fn temporary_name(tag: Option<u32>) -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let whose = tag.unwrap_or_else(std::process::id);
    format!(".pb-{whose:x}-{n:x}.part").into_bytes()
}

impl Temp {
    /// Makes an empty file that only its owner can read until it is published.
    pub fn file(
        folder: Arc<OwnedFd>,
        tag: Option<u32>,
        name: &[u8],
    ) -> Result<(Temp, File), Errno> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let temporary = temporary_name(tag);
            match openat(
                &folder,
                temporary.as_slice(),
                flags,
                Mode::RUSR | Mode::WUSR,
            ) {
                Err(Errno::EXIST) => continue,
                Err(e) => return Err(e),
                Ok(fd) => {
                    return Ok((
                        Temp {
                            folder,
                            temporary,
                            name: name.to_vec(),
                        },
                        File::from(fd),
                    ));
                }
            }
        }
    }

    /// A temporary name that an earlier run made; `None` for one that it can't have made.
    pub fn adopt(folder: Arc<OwnedFd>, temporary: &[u8], name: &[u8]) -> Option<Temp> {
        let made_here = temporary.starts_with(b".pb-") && temporary.ends_with(b".part");
        let is_name = !temporary.contains(&b'/') && temporary.len() <= 64;
        (made_here && is_name && !temporary.contains(&0)).then(|| Temp {
            folder,
            temporary: temporary.to_vec(),
            name: name.to_vec(),
        })
    }

    /// Makes a symbolic link.
    pub fn link(
        folder: Arc<OwnedFd>,
        tag: Option<u32>,
        name: &[u8],
        target: &[u8],
    ) -> Result<Temp, Errno> {
        loop {
            let temporary = temporary_name(tag);
            match symlinkat(target, &folder, temporary.as_slice()) {
                Err(Errno::EXIST) => continue,
                Err(e) => return Err(e),
                Ok(()) => {
                    return Ok(Temp {
                        folder,
                        temporary,
                        name: name.to_vec(),
                    });
                }
            }
        }
    }

    /// The folder it is in.
    pub fn folder(&self) -> &Arc<OwnedFd> {
        &self.folder
    }

    pub fn temporary(&self) -> &[u8] {
        &self.temporary
    }

    /// Gives it its final name. With `Overwrite::Never` an existing one wins: [`Errno::EXIST`].
    pub fn publish(&self, overwrite: Overwrite) -> Result<(), Errno> {
        let (folder, from, to) = (
            &self.folder,
            self.temporary.as_slice(),
            self.name.as_slice(),
        );
        if overwrite != Overwrite::Never {
            return renameat(folder, from, folder, to);
        }
        match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
            // A file system without RENAME_NOREPLACE: a link can't replace anything either.
            Err(Errno::INVAL) => {
                rustix::fs::linkat(folder, from, folder, to, AtFlags::empty())?;
                unlinkat(folder, from, AtFlags::empty())
            }
            other => other,
        }
    }

    /// Removes it.
    pub fn discard(&self) {
        let _ = unlinkat(&self.folder, self.temporary.as_slice(), AtFlags::empty());
    }
}

/// Owner, permission bits and mtime, as far as they are to be kept.
pub(super) fn apply(file: &File, meta: &Meta, options: &RecvOptions) -> Result<(), Errno> {
    if options.owner {
        attr::set_owner(file, meta.uid, meta.gid)?;
    }
    let mode = if options.perms {
        meta.mode
    } else {
        0o666 & !umask()
    };
    attr::set_mode(file, mode, SpecialBits::Drop)?;
    attr::set_times(file, meta.mtime_ns)
}

/// The process's umask, read once: there is no way to read it without setting it.
pub(super) fn umask() -> u32 {
    static UMASK: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *UMASK.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("Umask:"));
        line.and_then(|v| u32::from_str_radix(v.trim(), 8).ok())
            .unwrap_or(0o022)
    })
}
