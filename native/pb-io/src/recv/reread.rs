//! Reads again what was written, before it gets its name (`--verify full`): what a disk has, not what it was given.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::fs::{Advice, Mode, OFlags, fadvise, openat};

use super::commit::Ready;
use super::{RecvJob, shown};
use crate::error::Code;
use crate::hash::{Hash, Running};

/// Read at once.
const PIECE: usize = 1 << 20;

/// Files that are on the disk as they came; the others are removed and fail.
pub(super) fn reread_files(job: &RecvJob, files: Vec<Ready>) -> Vec<Ready> {
    if !job.options.reread {
        return files;
    }
    let mut piece = vec![0; PIECE];
    let mut is_whole = |ready: &Ready| match open(ready).and_then(|f| hash_of(f, &mut piece)) {
        Ok(found) if found == (ready.size, ready.hash) => true,
        Ok(_) => {
            let text = "what was read again at the destination is not what was written";
            fail(job, ready, Code::VerificationFailed, text);
            false
        }
        Err(e) => {
            let text = format!("reread {}: {e}", shown(job.place(&ready.meta.path)));
            let code = rustix::io::Errno::from_io_error(&e).map_or(Code::IoError, Code::from_errno);
            fail(job, ready, code, &text);
            false
        }
    };
    files.into_iter().filter(|f| is_whole(f)).collect()
}

fn fail(job: &RecvJob, ready: &Ready, code: Code, text: &str) {
    ready.temp.discard();
    job.part_gone(ready.key);
    job.fail_entry(ready.meta.id, &ready.meta.path, code, text);
}

fn open(ready: &Ready) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (folder, name) = (ready.temp.folder(), ready.temp.temporary());
    Ok(File::from(openat(folder, name, flags, Mode::empty())?))
}

/// Size and root hash. What the kernel still has in memory and has written is dropped first, so that it comes from the disk.
fn hash_of(mut file: File, piece: &mut [u8]) -> io::Result<(u64, Hash)> {
    fadvise(file.as_fd(), 0, None, Advice::DontNeed)?;
    let (mut size, mut hash) = (0, Running::default());
    loop {
        match file.read(piece) {
            Ok(0) => return Ok((size, hash.root())),
            Ok(read) => {
                hash.update(&piece[..read]);
                size += read as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::hash;

    #[test]
    fn a_file_is_hashed_as_it_is_on_the_disk() {
        let path = std::env::temp_dir().join(format!("pb-reread-{}", std::process::id()));
        let content = vec![7; 3 * PIECE / 2];
        File::create(&path).unwrap().write_all(&content).unwrap();
        let mut piece = vec![0; PIECE];
        let mut read = || hash_of(File::open(&path).unwrap(), &mut piece).unwrap();
        let expected = (content.len() as u64, hash::whole(&content));
        let same = read() == expected;
        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(b"x").unwrap();
        let other = read() != expected;
        std::fs::remove_file(&path).unwrap();
        assert!(same && other);
    }
}
