//! Disks that are full: the job fails, what stood there stays, nothing temporary is left.

#[allow(dead_code)]
mod common;
#[allow(dead_code)]
mod peer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::noise;
use pb_io::error::Code;
use pb_io::job::State;
use pb_proto::message::item::{Item, NO_TOKEN};
use peer::{CHUNK, Peer, meta, root_hash};

/// A file system of 4 MiB; taken away when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nothing can be mounted.
    fn new(name: &str) -> Option<SmallDisk> {
        let dir = std::env::temp_dir().join(format!("pb-disk-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).ok()?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(&dir)
            .output();
        if mount.is_ok_and(|m| m.status.success()) {
            return Some(SmallDisk(dir));
        }
        let _ = fs::remove_dir(&dir);
        eprintln!("SKIPPED: a full disk (mounting a tmpfs needs root)");
        None
    }

    fn folder(&self) -> PathBuf {
        let dir = self.0.join("d");
        fs::create_dir(&dir).expect("a folder");
        dir
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
        let _ = fs::remove_dir(&self.0);
    }
}

fn old(dir: &Path) {
    fs::write(dir.join("x"), b"old").expect("a file");
}

#[test]
fn a_full_disk_fails_the_job_and_keeps_what_stood_there() {
    let Some(disk) = SmallDisk::new("large") else {
        return;
    };
    let mut p = Peer::below(disk.folder(), |o| o, old);
    let (size, chunk_log2) = (16 << 20, 16);
    p.bundle(&[Item::Offer {
        meta: meta(0, b"x"),
        token: NO_TOKEN,
        size,
        chunk_log2,
    }]);
    let data = noise(CHUNK, 1);
    for n in 0..size / CHUNK as u64 {
        if !p.try_chunk(0, n * CHUNK as u64, &data) {
            break;
        }
    }
    assert_eq!(p.wait(), State::Failed);
    assert_eq!(p.status.errors()[0].code, Code::NoSpace);
    assert_eq!(p.names(), ["x"]);
    assert_eq!(fs::read(p.dir.join("x")).expect("a file"), b"old");
}

#[test]
fn a_disk_that_small_files_fill_fails_the_job_and_keeps_what_stood_there() {
    let Some(disk) = SmallDisk::new("small") else {
        return;
    };
    let mut p = Peer::below(disk.folder(), |o| o, old);
    let content = noise(200_000, 1);
    let hash = root_hash(&content);
    for id in 0..40 {
        let name = format!("f{id}");
        let item = Item::Inline {
            meta: meta(id, name.as_bytes()),
            token: NO_TOKEN,
            hash,
            content: &content,
        };
        if !p.try_bundle(&[item], None) {
            break;
        }
    }
    assert_eq!(p.wait(), State::Failed);
    assert_eq!(p.status.errors()[0].code, Code::NoSpace);
    for name in p.names() {
        let there = fs::read(p.dir.join(&name)).expect("a file");
        assert!(there == b"old" || there == content, "{name}");
    }
}
