//! A receiving job whose sender is written here, unit by unit: what no honest sender says must cost memory, credit,
//! descriptors or names of the host nothing.

#[allow(dead_code)]
mod common;
mod peer;

use std::fs;
use std::io::Read;

use common::noise;
use pb_io::error::Code;
use pb_io::job::{State, get};
use pb_io::recv::{Overwrite, RecvOptions, Unfinished};
use pb_proto::message::item::{Item, Meta, NO_TOKEN, UNKNOWN_SIZE};
use peer::{CHUNK, Peer, meta, options, root_hash};

fn open(id: u32, path: &[u8], size: u64) -> Item<'_> {
    Item::Open {
        meta: meta(id, path),
        token: NO_TOKEN,
        size,
        chunk_log2: 16,
    }
}

fn offer(id: u32, path: &[u8], size: u64) -> Item<'_> {
    Item::Offer {
        meta: meta(id, path),
        token: NO_TOKEN,
        size,
        chunk_log2: 16,
    }
}

fn end(id: u32, data: &[u8]) -> Item<'static> {
    Item::End {
        id,
        size: data.len() as u64,
        hash: root_hash(data),
    }
}

#[test]
fn offsets_that_no_file_has_cost_no_memory() {
    for size in [UNKNOWN_SIZE, 1 << 61, 5] {
        let mut p = Peer::new(|_| {});
        p.bundle(&[open(0, b"x", size)]);
        for log2 in (16..62).rev() {
            p.chunk(0, 1 << log2, &noise(CHUNK, 1));
        }
        let runs = vec![(0, 1 << 60), (7, u64::from(u32::MAX)), (1 << 61, 1 << 61)];
        p.bundle(&[Item::Holes { id: 0, runs }]);
        p.bundle(&[Item::End {
            id: 0,
            size: 12,
            hash: [0; 32],
        }]);
        p.bundle(&[Item::Finish { entries: 1 }]);
        assert_eq!(p.wait(), State::Partial);
        assert_eq!(p.names(), Vec::<String>::new());
    }
}

#[test]
fn a_file_without_a_place_gives_its_credit_back() {
    let mut p = Peer::new(|dir| fs::write(dir.join("f"), b"in the way").expect("a file"));
    p.bundle(&[open(0, b"f/x", 64 << 20)]);
    for n in 0..(64 << 20) / CHUNK {
        p.chunk(0, (n * CHUNK) as u64, &noise(CHUNK, 1));
    }
    assert_eq!(p.outstanding(), 0);
    p.bundle(&[Item::Finish { entries: 1 }]);
    assert_eq!(p.wait(), State::Partial);
}

#[test]
fn what_came_too_early_gives_its_credit_back_at_the_end() {
    let mut p = Peer::new(|_| {});
    for id in 0..40 {
        p.chunk(id, 0, &noise(CHUNK, 1));
    }
    assert!(p.outstanding() > 0);
    let (code, text) = (b"source_vanished".as_slice(), b"gone".as_slice());
    p.bundle(&[Item::Withdraw { id: 3, code, text }]);
    p.job.abort("enough", Unfinished::Remove);
    assert_eq!(p.wait(), State::Aborted);
    assert_eq!(p.outstanding(), 0);
}

#[test]
fn nothing_stands_beside_the_one_file_that_was_asked_for() {
    let mut p = Peer::with(
        |o| RecvOptions {
            base: b"wanted".to_vec(),
            exact_name: true,
            ..o
        },
        |_| {},
    );
    let hash = root_hash(b"evil");
    let content = b"evil".as_slice();
    let inline = |id, path| Item::Inline {
        meta: meta(id, path),
        token: NO_TOKEN,
        hash,
        content,
    };
    let link = Item::Link {
        meta: meta(1, b"link"),
        target: b"/",
    };
    let folder = Item::Directory(Meta {
        mode: 0o777,
        ..meta(2, b"")
    });
    p.bundle(&[inline(0, b".profile"), link, folder, open(3, b"x", 9)]);
    p.bundle(&[inline(4, b""), Item::Finish { entries: 5 }]);
    assert_eq!(p.wait(), State::Partial);
    assert_eq!((p.names(), p.failed()), (vec!["wanted".to_string()], 4));
}

#[test]
fn an_id_has_one_fate() {
    let mut p = Peer::new(|_| {});
    let hash = root_hash(b"one");
    let content = b"one".as_slice();
    let item = || Item::Inline {
        meta: meta(0, b"one"),
        token: NO_TOKEN,
        hash,
        content,
    };
    p.bundle(&[item(), item(), item(), open(0, b"two", 9)]);
    p.bundle(&[
        open(1, b"three", 9),
        open(1, b"four", 9),
        open(1, b"five", 9),
    ]);
    let (code, text) = (b"source_changed".as_slice(), b"changed".as_slice());
    for id in [0, 1, 1, 0] {
        p.bundle(&[Item::Withdraw { id, code, text }]);
    }
    p.bundle(&[Item::Finish { entries: 2 }]);
    assert_eq!(p.wait(), State::Partial);
    assert_eq!((p.names(), p.failed()), (vec!["one".to_string()], 1));
    assert_eq!(get(&p.status.counters.bytes), 3);
}

#[test]
fn more_entries_than_announced_are_a_breach() {
    let mut p = Peer::new(|_| {});
    let folders: Vec<Item<'_>> = (0..5)
        .map(|id| Item::Directory(meta(id, b"folder")))
        .collect();
    p.bundle(&folders);
    p.settle();
    p.bundle(&[Item::Finish { entries: 2 }]);
    assert_eq!(p.wait(), State::Failed);
    assert_eq!(p.status.errors()[0].code, Code::ProtocolViolation);
}

#[test]
fn what_was_verified_is_not_written_over() {
    let mut p = Peer::new(|_| {});
    let data = noise(3 * CHUNK, 4);
    p.bundle(&[open(0, b"x", data.len() as u64)]);
    p.chunk(0, 0, &data[..CHUNK]);
    p.settle();
    p.chunk(0, 0, &noise(CHUNK, 5));
    p.chunk(0, CHUNK as u64, &data[CHUNK..2 * CHUNK]);
    p.chunk(0, 2 * CHUNK as u64, &data[2 * CHUNK..]);
    p.bundle(&[end(0, &data), Item::Finish { entries: 1 }]);
    assert_eq!(p.wait(), State::Done);
    assert!(fs::read(p.dir.join("x")).expect("a file") == data);
}

#[test]
fn a_size_that_hides_a_longer_chunk_is_refused() {
    let mut p = Peer::new(|_| {});
    let data = noise(CHUNK, 4);
    p.bundle(&[open(0, b"x", 100)]);
    p.chunk(0, 0, &data);
    p.bundle(&[Item::End {
        id: 0,
        size: 100,
        hash: root_hash(&data),
    }]);
    p.bundle(&[Item::Finish { entries: 1 }]);
    assert_eq!((p.wait(), p.names()), (State::Partial, vec![]));
}

#[test]
fn offered_files_may_grow_and_shrink_and_cost_no_descriptor_while_they_wait() {
    let mut p = Peer::new(|dir| fs::write(dir.join("there"), b"there").expect("a file"));
    let before = descriptors();
    let names: Vec<String> = (10..3000).map(|n| format!("f{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        p.bundle(&[offer(n as u32 + 10, name.as_bytes(), 1 << 20)]);
    }
    p.settle();
    assert!(descriptors() < before + 500);
    for (id, listed, real) in [(0, 400_000, 700_001), (1, 700_000, 300_001), (2, 9, 0)] {
        let (name, data) = (format!("x{id}"), noise(real, 9));
        p.bundle(&[offer(id, name.as_bytes(), listed)]);
        for (n, part) in data.chunks(CHUNK).enumerate().rev() {
            p.chunk(id, (n * CHUNK) as u64, part);
        }
        p.bundle(&[end(id, &data)]);
        p.settle();
        assert!(fs::read(p.dir.join(name)).is_ok_and(|there| there == data));
    }
    p.job.abort("enough", Unfinished::Remove);
    p.wait();
    assert_eq!(p.names(), ["there", "x0", "x1", "x2"]);
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// A peer whose job writes into a pipe, and the end to read from.
fn streaming() -> (Peer, fs::File) {
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
    let out = fs::File::from(writer);
    let into_pipe = |o| RecvOptions {
        stream: Some(out),
        ..o
    };
    (Peer::with(into_pipe, |_| {}), reader.into())
}

#[test]
fn a_stream_holds_no_more_than_was_granted() {
    let (mut p, reader) = streaming();
    let data = noise(300 * CHUNK, 3);
    p.bundle(&[open(0, b"", UNKNOWN_SIZE)]);
    let mut sent = 1;
    // An honest sender took the credit of the lowest chunk first.
    while p.credit() > 2 * (CHUNK as u64 + 64) {
        p.chunk(0, (sent * CHUNK) as u64, &data[sent * CHUNK..][..CHUNK]);
        sent += 1;
        assert!(sent < 250, "what waits is not bounded");
    }
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader
            .take(300 * CHUNK as u64)
            .read_to_end(&mut all)
            .map(|_| all)
    });
    p.chunk(0, 0, &data[..CHUNK]);
    for n in sent..300 {
        p.chunk(0, (n * CHUNK) as u64, &data[n * CHUNK..][..CHUNK]);
    }
    p.bundle(&[end(0, &data), Item::Finish { entries: 1 }]);
    assert_eq!(p.wait(), State::Done);
    assert!(reading.join().expect("a reader").expect("bytes") == data);
}

#[test]
fn a_second_file_never_gets_into_the_stream_of_the_first() {
    let (mut p, reader) = streaming();
    p.bundle(&[open(0, b"", UNKNOWN_SIZE)]);
    p.chunk(0, 0, &[b'a'; CHUNK]);
    p.settle();
    p.bundle(&[open(1, b"", UNKNOWN_SIZE)]);
    p.chunk(1, CHUNK as u64, &[b'b'; CHUNK]);
    assert_eq!(p.wait(), State::Failed);
    let mut got = vec![0; 2 * CHUNK];
    let n = (&reader).read(&mut got).expect("bytes");
    assert!(got[..n].iter().all(|&b| b == b'a'));
}

#[test]
fn a_job_that_could_not_start_leaves_no_thread() {
    let p = Peer::new(|_| {});
    let ended = p.start_again(options(&p.dir));
    assert_eq!(ended, State::Failed);
}

#[test]
fn a_pipe_skipped_by_policy_counts_no_bytes() {
    let mut p = Peer::with(
        |o| RecvOptions {
            overwrite: Overwrite::Never,
            ..o
        },
        |dir| fs::write(dir.join("x"), b"old").expect("a file"),
    );
    p.bundle(&[offer(0, b"x", UNKNOWN_SIZE), Item::Finish { entries: 1 }]);
    assert_eq!(p.wait(), State::Done);
    assert_eq!(get(&p.status.counters.skipped_bytes), 0);
}

/// Small numbers, so that ids, offsets and paths meet each other.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len() as u64) as usize]
    }
}

const PATHS: [&[u8]; 14] = [
    b"a", b"b", b"a/b", b"a/b/c", b"", b"..", b"../x", b"a/..", b"/etc/x", b"a//b", b"./a",
    b"a\0b", b"out/x", b"l/x",
];
const SIZES: [u64; 8] = [
    0,
    1,
    CHUNK as u64,
    100_000,
    1 << 40,
    1 << 61,
    UNKNOWN_SIZE,
    3,
];
const OFFSETS: [u64; 8] = [0, 1 << 16, 2 << 16, 5, 1 << 40, 1 << 61, u64::MAX, 1 << 63];

fn any_item<'a>(dice: &mut Dice, content: &'a [u8]) -> Item<'a> {
    let id = dice.of(&[0, 1, 2, 3, 4, 5, 6, u32::MAX]);
    let meta = meta(id, dice.of(&PATHS));
    let content = &content[..dice.of(&[0, 1, 1000, CHUNK])];
    let hash = if dice.roll(4) == 0 {
        [7; 32]
    } else {
        root_hash(content)
    };
    let token = dice.of(&[NO_TOKEN, [1; 16], [2; 16]]);
    let (size, chunk_log2) = (dice.of(&SIZES), 16);
    match dice.roll(12) {
        0 => Item::Directory(meta),
        1 => Item::Link {
            meta,
            target: dice.of(&[b"../..".as_slice(), b"/", b"", b"a"]),
        },
        2 => Item::Inline {
            meta,
            token,
            hash,
            content,
        },
        3 => Item::Content { id, hash, content },
        4 | 5 => Item::Offer {
            meta,
            token,
            size,
            chunk_log2,
        },
        6 | 7 => Item::Open {
            meta,
            token,
            size,
            chunk_log2,
        },
        8 => Item::Holes {
            id,
            runs: vec![(dice.of(&SIZES), dice.of(&SIZES)), (0, dice.roll(3))],
        },
        9 => Item::Withdraw {
            id,
            code: b"io_error",
            text: b"?",
        },
        10 if dice.roll(8) == 0 => Item::Finish {
            entries: dice.roll(9),
        },
        _ => Item::End {
            id,
            size: size.min(200_000),
            hash,
        },
    }
}

fn one_job(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let overwrite = dice.of(&[Overwrite::Always, Overwrite::Never, Overwrite::IfDifferent]);
    let exact_name = dice.roll(4) == 0;
    let set = |o| RecvOptions {
        overwrite,
        exact_name,
        fsync: false,
        base: b"base".to_vec(),
        ..o
    };
    let plant = |dir: &std::path::Path| {
        fs::create_dir(dir.join("base")).expect("a folder");
        std::os::unix::fs::symlink("..", dir.join("base/out")).expect("a link");
    };
    let mut p = match seed % 2 {
        0 => Peer::with(set, plant),
        _ => Peer::recorded(set, plant),
    };
    let content = noise(CHUNK, seed);
    for _ in 0..60 {
        if dice.roll(3) == 0 {
            let (id, at) = (dice.roll(7) as u32, dice.of(&OFFSETS));
            let data = &content[..dice.of(&[0, 1, 1000, CHUNK])];
            if !p.try_chunk(id, at, data) {
                break;
            }
            continue;
        }
        let items: Vec<Item<'_>> = (0..=dice.roll(3))
            .map(|_| any_item(&mut dice, &content))
            .collect();
        if !p.try_bundle(&items, (dice.roll(6) == 0).then(|| dice.roll(200) as usize)) {
            break;
        }
    }
    p.job.abort("enough", Unfinished::Remove);
    p.wait();
    assert_eq!(p.names(), ["base"], "seed {seed}");
    assert!(temporary_below(&p.dir).is_none(), "seed {seed}");
    assert_eq!(p.outstanding(), 0, "seed {seed}");
}

fn temporary_below(dir: &std::path::Path) -> Option<std::path::PathBuf> {
    fs::read_dir(dir).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
        let mine = entry.file_name().as_encoded_bytes().ends_with(b".part");
        if mine {
            Some(path)
        } else if is_folder {
            temporary_below(&path)
        } else {
            None
        }
    })
}

#[test]
fn random_senders_do_no_harm() {
    (0..150).for_each(one_job);
}
