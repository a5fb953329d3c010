//! In a process of its own, as it takes descriptors away from all of it.

#[allow(dead_code)]
mod common;
#[allow(dead_code)]
mod peer;

use common::noise;
use pb_io::job::State;
use pb_proto::message::item::{Item, NO_TOKEN};
use peer::{CHUNK, Peer, meta, root_hash};
use rustix::process::{Resource, Rlimit, setrlimit};

#[test]
fn sixty_four_descriptors_are_enough() {
    let few = Rlimit {
        current: Some(64),
        maximum: Some(64),
    };
    setrlimit(Resource::Nofile, few).expect("a lower limit");
    let mut p = Peer::new(|_| {});
    let (small, large) = (noise(10, 1), noise(CHUNK + 1, 2));
    let mut id = 0;
    for folder in 0..200 {
        let (a, b) = (format!("d{folder}/e/small"), format!("d{folder}/large"));
        let inline = Item::Inline {
            meta: meta(id, a.as_bytes()),
            token: NO_TOKEN,
            hash: root_hash(&small),
            content: &small,
        };
        let open = Item::Open {
            meta: meta(id + 1, b.as_bytes()),
            token: NO_TOKEN,
            size: large.len() as u64,
            chunk_log2: 16,
        };
        p.bundle(&[inline, open]);
        p.chunk(id + 1, 0, &large[..CHUNK]);
        p.chunk(id + 1, CHUNK as u64, &large[CHUNK..]);
        let (size, hash) = (large.len() as u64, root_hash(&large));
        p.bundle(&[Item::End {
            id: id + 1,
            size,
            hash,
        }]);
        id += 2;
    }
    p.bundle(&[Item::Finish { entries: id.into() }]);
    let state = p.wait();
    assert_eq!((state, p.status.errors().first()), (State::Done, None));
}
