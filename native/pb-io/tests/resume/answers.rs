//! What a receiver answers to many offers at once.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pb_io::job::{State, get};
use pb_io::recv::Overwrite;
use pb_io::source::{file_key, token};
use pb_proto::message::item::{Item, SourceToken};

use crate::peer::{Peer, meta};

const FILES: u32 = 500;
const FOLDERS: u32 = 5;

fn name(id: u32) -> String {
    format!("d{}/f{id}", id % FOLDERS)
}

fn token_of(id: u32) -> SourceToken {
    token(1, 1_000_000_000, id.into())
}

/// Files that look as their sources do.
fn plant(dir: &Path) {
    (0..FOLDERS).for_each(|n| fs::create_dir(dir.join(format!("d{n}"))).unwrap());
    for id in 0..FILES {
        let file = fs::File::create(dir.join(name(id))).unwrap();
        file.set_len(1).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        file.set_modified(at).unwrap();
    }
}

fn offer(id: u32, name: &str) -> Item<'_> {
    Item::Offer {
        meta: meta(id, name.as_bytes()),
        token: token_of(id),
        size: 1,
        chunk_log2: 16,
    }
}

/// All in one bundle.
fn offer_all(p: &mut Peer) {
    let names: Vec<String> = (0..FILES).map(name).collect();
    let mut items: Vec<Item<'_>> = (0..)
        .zip(&names)
        .map(|(id, name)| offer(id, name))
        .collect();
    items.push(Item::Finish {
        entries: FILES.into(),
    });
    p.bundle(&items);
    assert_eq!(p.wait(), State::Done);
    p.settle();
}

#[test]
fn files_of_an_earlier_run_are_answered_together() {
    let key = |id| file_key(name(id).as_bytes(), &token_of(id)).unwrap();
    // Each third was not finished then, and stands there all the same.
    let done = (0..FILES)
        .filter(|id| id % 3 > 0)
        .map(|id| (key(id), [7; 32]));
    let skip = |o| pb_io::recv::RecvOptions {
        overwrite: Overwrite::IfDifferent,
        ..o
    };
    let mut p = Peer::knowing(done.collect(), skip, plant);
    offer_all(&mut p);
    let counters = &p.status.counters;
    assert_eq!(get(&counters.resumed_files), 333);
    assert_eq!(get(&counters.skipped_files), 167);
    assert_eq!(*p.results.lock().unwrap(), [FILES as usize]);
}

#[test]
fn what_is_there_is_answered_together_without_an_earlier_run() {
    let skip = |o| pb_io::recv::RecvOptions {
        overwrite: Overwrite::Never,
        ..o
    };
    let mut p = Peer::with(skip, plant);
    offer_all(&mut p);
    assert_eq!(get(&p.status.counters.skipped_files), FILES.into());
    assert_eq!(*p.results.lock().unwrap(), [FILES as usize]);
}
