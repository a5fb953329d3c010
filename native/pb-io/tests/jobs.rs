//! Whole jobs between two sessions of this process: what is sent stands verified at the destination, or an error says why.

#[allow(dead_code)]
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use pb_io::error::Code;
use pb_io::fs::{Kind, Resolve, Root};
use pb_io::job::{State, Status, get};
use pb_io::recv::{Overwrite, RecvJob, RecvOptions, Unfinished};
use pb_io::send::{Entry, SendJob, SendOptions};
use pb_io::session::{Session, SessionOptions};
use pb_io::transport::{LaneHost, Place};
use pb_proto::message::message_trailer;
use pb_proto::message::note::Note;

use common::{Scratch, entries, noise, recv_options, root, send_options, sessions};

struct Ended {
    status: Arc<Status>,
    end: Receiver<State>,
}

fn status() -> Ended {
    let (status, end) = common::status();
    Ended { status, end }
}

impl Ended {
    fn wait(&self) -> State {
        self.end
            .recv_timeout(Duration::from_secs(60))
            .expect("the job ends")
    }
}

struct Copy {
    overwrite: Overwrite,
    move_sources: bool,
    chunk: u32,
    memory: u64,
}

const COPY: Copy = Copy {
    overwrite: Overwrite::IfDifferent,
    move_sources: false,
    chunk: 64 << 10,
    memory: 16 << 20,
};

fn copy(from: &Path, to: &Path, how: &Copy) -> (State, Ended, Ended) {
    let root = root(from);
    let list = entries(&root);
    send_entries(root, list, to, how)
}

fn send_entries(root: Root, list: Vec<Entry>, to: &Path, how: &Copy) -> (State, Ended, Ended) {
    let (a, b) = sessions(how.memory, 0);
    let (sent, received) = (status(), status());
    let recv = RecvOptions {
        overwrite: how.overwrite,
        ..recv_options(common::root(to))
    };
    RecvJob::start(&b, recv, Arc::clone(&received.status), None).unwrap();
    let send = SendOptions {
        chunk_bytes: how.chunk,
        remove_sources: how.move_sources,
        ..send_options(root)
    };
    let job = SendJob::start(&a, send, Arc::clone(&sent.status)).unwrap();
    job.push(list);
    job.finish();
    let state = sent.wait();
    received.wait();
    a.end(None);
    b.end(None);
    (state, sent, received)
}

/// What a tree is: path to (kind and mode, mtime, content or link target).
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = match meta.file_type() {
                t if t.is_dir() => {
                    todo.push(path.clone());
                    Vec::new()
                }
                t if t.is_symlink() => fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes(),
                _ => fs::read(&path).unwrap(),
            };
            let time = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
            all.insert(
                path.strip_prefix(dir).unwrap().to_path_buf(),
                (meta.mode(), time, content),
            );
        }
    }
    all
}

fn plant(dir: &Path) {
    fs::create_dir_all(dir.join("deep/er/est")).unwrap();
    fs::create_dir_all(dir.join("empty")).unwrap();
    for i in 0..300u64 {
        fs::write(
            dir.join(format!("deep/f{i}")),
            noise((i * 37 % 5000) as usize, i),
        )
        .unwrap();
    }
    fs::write(dir.join("deep/er/est/large"), noise(3_000_001, 7)).unwrap();
    fs::write(dir.join("exact"), noise(1 << 20, 8)).unwrap();
    fs::write(dir.join("none"), b"").unwrap();
    symlink("deep/f1", dir.join("link")).unwrap();
    symlink("/nowhere", dir.join("dangling")).unwrap();
    fs::set_permissions(dir.join("exact"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(dir.join("deep/er"), fs::Permissions::from_mode(0o750)).unwrap();
}

#[test]
fn a_tree_arrives_as_it_was() {
    let s = Scratch::new();
    plant(&s.path("a"));
    let (state, sent, _) = copy(&s.path("a"), &s.path("b"), &COPY);
    assert_eq!((state, sent.status.errors()), (State::Done, vec![]));
    assert_eq!(snapshot(&s.path("a")), snapshot(&s.path("b")));
    assert_eq!(get(&sent.status.counters.files), 303);
    assert_eq!(
        get(&sent.status.counters.bytes),
        get(&sent.status.counters.total_bytes)
    );
    let large = sent
        .status
        .hashes()
        .into_iter()
        .find(|h| h.path == b"deep/er/est/large")
        .unwrap();
    assert_eq!(
        large.hash,
        *blake3::hash(&fs::read(s.path("a/deep/er/est/large")).unwrap()).as_bytes()
    );
}

#[test]
fn a_second_run_skips_and_an_old_destination_is_replaced() {
    let s = Scratch::new();
    plant(&s.path("a"));
    copy(&s.path("a"), &s.path("b"), &COPY);
    fs::write(s.path("b/deep/f3"), b"other").unwrap();
    fs::write(s.path("b/exact"), b"other").unwrap();
    let (state, sent, _) = copy(&s.path("a"), &s.path("b"), &COPY);
    assert_eq!(state, State::Done);
    assert_eq!(get(&sent.status.counters.files), 2);
    assert_eq!(get(&sent.status.counters.skipped_files), 301);
    assert_eq!(snapshot(&s.path("a")), snapshot(&s.path("b")));
}

#[test]
fn never_keeps_what_is_there() {
    let s = Scratch::new();
    fs::write(s.path("a/x"), b"new").unwrap();
    fs::write(s.path("a/y"), b"new").unwrap();
    fs::write(s.path("b/x"), b"old").unwrap();
    let (state, sent, _) = copy(
        &s.path("a"),
        &s.path("b"),
        &Copy {
            overwrite: Overwrite::Never,
            ..COPY
        },
    );
    assert_eq!(
        (state, get(&sent.status.counters.skipped_files)),
        (State::Done, 1)
    );
    assert_eq!(
        (
            fs::read(s.path("b/x")).unwrap(),
            fs::read(s.path("b/y")).unwrap()
        ),
        (b"old".to_vec(), b"new".to_vec())
    );
}

#[test]
fn holes_stay_holes() {
    let s = Scratch::new();
    let file = fs::File::create(s.path("a/sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"here", 10 << 20).unwrap();
    drop(file);
    let (state, sent, _) = copy(&s.path("a"), &s.path("b"), &COPY);
    assert_eq!(state, State::Done);
    let counters = &sent.status.counters;
    assert_eq!(get(&counters.bytes), get(&counters.total_bytes));
    assert_eq!(snapshot(&s.path("a")), snapshot(&s.path("b")));
    assert!(fs::metadata(s.path("b/sparse")).unwrap().blocks() * 512 < 1 << 20);
    assert_eq!(
        sent.status.hashes()[0].hash,
        *blake3::hash(&fs::read(s.path("a/sparse")).unwrap()).as_bytes()
    );
}

#[test]
fn holes_are_zeros_in_a_stream() {
    let s = Scratch::new();
    let file = fs::File::create(s.path("a/sparse")).unwrap();
    file.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"here", 2 << 20).unwrap();
    drop(file);
    let (a, b) = sessions(16 << 20, 0);
    let (sent, received) = (status(), status());
    let root = root(&s.path("a"));
    let out = fs::File::create(s.path("out")).unwrap();
    let recv = RecvOptions {
        stream: Some(out),
        ..recv_options(root.clone())
    };
    RecvJob::start(&b, recv, Arc::clone(&received.status), None).unwrap();
    let list = entries(&root);
    let job = SendJob::start(&a, send_options(root), Arc::clone(&sent.status)).unwrap();
    job.push(list);
    job.finish();
    assert_eq!((sent.wait(), received.wait()), (State::Done, State::Done));
    assert!(fs::read(s.path("out")).unwrap() == fs::read(s.path("a/sparse")).unwrap());
    a.end(None);
    b.end(None);
}

#[test]
fn move_removes_sources_once_they_are_there() {
    let s = Scratch::new();
    plant(&s.path("a"));
    let before = snapshot(&s.path("a"));
    let (state, sent, _) = copy(
        &s.path("a"),
        &s.path("b"),
        &Copy {
            move_sources: true,
            ..COPY
        },
    );
    assert_eq!(state, State::Done);
    assert_eq!(before, snapshot(&s.path("b")));
    assert_eq!(get(&sent.status.counters.removed_sources), 305);
    assert!(
        snapshot(&s.path("a"))
            .values()
            .all(|(mode, _, _)| mode & 0o170_000 == 0o040_000)
    );
}

#[test]
fn one_failure_leaves_the_rest_and_says_which() {
    let s = Scratch::new();
    plant(&s.path("a"));
    fs::create_dir(s.path("b/exact")).unwrap();
    let root = root(&s.path("a"));
    let list = entries(&root);
    fs::remove_file(s.path("a/deep/f5")).unwrap();
    let (state, sent, received) = send_entries(root, list, &s.path("b"), &COPY);
    assert_eq!(state, State::Partial);
    let mut failed: Vec<_> = sent
        .status
        .errors()
        .into_iter()
        .map(|e| (e.code, e.path))
        .collect();
    failed.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(
        failed,
        [
            (Code::SourceVanished, b"deep/f5".to_vec()),
            (Code::IsADirectory, b"exact".to_vec())
        ]
    );
    assert_eq!(received.status.errors().len(), 2);
    assert!(s.path("b/deep/f6").exists() && !s.path("b/deep/f5").exists());
}

#[test]
fn names_that_lead_out_are_refused_and_nothing_is_written() {
    let s = Scratch::new();
    fs::write(s.path("a/x"), b"x").unwrap();
    symlink(s.path(""), s.path("b/out")).unwrap();
    let root = root(&s.path("a"));
    for target in ["../evil", "/evil", "out/evil", "a\0b"] {
        let mut list = entries(&root);
        list[0].target = target.into();
        let (state, sent, _) = send_entries(root.clone(), list, &s.path("b"), &COPY);
        assert_eq!(state, State::Partial, "{target:?}");
        let code = sent.status.errors()[0].code;
        assert!(
            matches!(code, Code::PathEscapes | Code::InvalidPath),
            "{target:?}: {code}"
        );
    }
    assert!(!s.path("evil").exists());
    assert_eq!(fs::read_dir(s.path("b")).unwrap().count(), 1);
}

#[test]
fn a_link_that_was_sent_is_no_way_out_of_a_folder_of_the_host() {
    let s = Scratch::new();
    fs::create_dir(s.path("out")).unwrap();
    fs::write(s.path("a/x"), b"x").unwrap();
    let root = root(&s.path("a"));
    let mut list = entries(&root);
    list[0].target = b"way/x".to_vec();
    for first in [true, false] {
        fs::remove_dir_all(s.path("b")).unwrap();
        fs::create_dir(s.path("b")).unwrap();
        if first {
            symlink(s.path("out"), s.path("b/way")).unwrap();
        }
        let (a, b) = sessions(16 << 20, 0);
        let (sent, received) = (status(), status());
        let host = Root::open(Path::new("/"), Resolve::Host, true).unwrap();
        let base = s
            .path("b")
            .to_str()
            .unwrap()
            .trim_start_matches('/')
            .as_bytes()
            .to_vec();
        let recv = RecvOptions {
            base,
            ..recv_options(host)
        };
        RecvJob::start(&b, recv, Arc::clone(&received.status), None).unwrap();
        let job = SendJob::start(&a, send_options(root.clone()), Arc::clone(&sent.status)).unwrap();
        let mut link = entries(&root).remove(0);
        (link.kind, link.target, link.link_target) =
            (Kind::Symlink, b"way".to_vec(), b"../out".to_vec());
        job.push(vec![link]);
        let mut file = entries(&root).remove(0);
        file.target = b"way/x".to_vec();
        job.push(vec![file]);
        job.finish();
        sent.wait();
        received.wait();
        a.end(None);
        b.end(None);
        assert_eq!(fs::read_dir(s.path("out")).unwrap().count(), 0, "{first}");
    }
}

#[test]
fn a_pipe_is_sent_to_its_end() {
    let s = Scratch::new();
    let content = noise(1_000_003, 3);
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let feed = content.clone();
    let thread = std::thread::spawn(move || {
        std::io::Write::write_all(&mut fs::File::from(writer), &feed).unwrap()
    });
    let entry = Entry {
        root: 0,
        source: Vec::new(),
        target: b"out".to_vec(),
        kind: Kind::File,
        size: 0,
        mtime_ns: 1_000,
        mode: 0o644,
        uid: 0,
        gid: 0,
        inode: 0,
        link_target: Vec::new(),
        pipe: Some(fs::File::from(reader)),
    };
    let root = root(&s.path("a"));
    let (state, sent, _) = send_entries(root, vec![entry], &s.path("b"), &COPY);
    thread.join().unwrap();
    assert_eq!((state, sent.status.errors()), (State::Done, vec![]));
    assert!(fs::read(s.path("b/out")).unwrap() == content);
}

#[test]
fn the_smallest_memory_suffices() {
    let s = Scratch::new();
    fs::write(s.path("a/large"), noise(40 << 20, 5)).unwrap();
    plant(&s.path("a"));
    let (state, _, _) = copy(
        &s.path("a"),
        &s.path("b"),
        &Copy {
            memory: 1,
            chunk: 1 << 20,
            ..COPY
        },
    );
    assert_eq!(state, State::Done);
    assert!(snapshot(&s.path("a")) == snapshot(&s.path("b")));
}

#[test]
fn an_aborted_job_leaves_no_temporary_names() {
    let s = Scratch::new();
    fs::write(s.path("a/large"), noise(30 << 20, 5)).unwrap();
    let (a, b) = sessions(4 << 20, 0);
    let (sent, received) = (status(), status());
    let (root, root_b) = (root(&s.path("a")), root(&s.path("b")));
    let recv = RecvOptions {
        base: b"new".to_vec(),
        ..recv_options(root_b)
    };
    let receiver = RecvJob::start(&b, recv, Arc::clone(&received.status), None).unwrap();
    let list = entries(&root);
    let send = SendOptions {
        remove_sources: true,
        ..send_options(root)
    };
    let job = SendJob::start(&a, send, Arc::clone(&sent.status)).unwrap();
    job.push(list);
    receiver.abort("enough", Unfinished::Remove);
    assert_eq!(
        (sent.wait(), received.wait()),
        (State::Aborted, State::Aborted)
    );
    assert_eq!(fs::read_dir(s.path("b/new")).unwrap().count(), 0);
    assert!(s.path("a/large").exists());
    drop(job);
    a.end(None);
    b.end(None);
}

#[test]
fn an_aborted_sender_lets_its_readers_go_though_nobody_takes_its_data() {
    let s = Scratch::new();
    fs::write(s.path("a/large"), noise(40 << 20, 5)).unwrap();
    let options = SessionOptions {
        memory: 64 << 20,
        limit: 0,
        seal: true,
    };
    let session = Session::new(options).unwrap();
    let sent = status();
    let root = root(&s.path("a"));
    let list = entries(&root);
    let job = SendJob::start(&session, send_options(root), Arc::clone(&sent.status)).unwrap();
    job.push(list);
    let mut accept = Vec::new();
    Note::Accept {
        push: true,
        dense: false,
    }
    .encode(&mut accept);
    accept.extend_from_slice(&message_trailer(1));
    let Ok(Place::Into(unit)) = session.place(0, accept.len() as u32) else {
        panic!("a place")
    };
    let mut state = unit.state.lock();
    let buffer = state.buffer.as_mut().unwrap();
    buffer.as_mut_slice().copy_from_slice(&accept);
    drop(state);
    session.unit_complete(0, unit);
    std::thread::sleep(Duration::from_millis(200));
    job.abort("enough");
    assert_eq!(sent.wait(), State::Aborted);
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while Arc::strong_count(&job) > 1 && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(Arc::strong_count(&job), 1);
    session.end(None);
}
