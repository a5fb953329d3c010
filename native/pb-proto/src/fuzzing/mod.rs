//! What the fuzz targets of `native/fuzz` and the corpus test call: each takes any bytes and panics when a rule of this
//! crate is broken. Nothing here is used by the engine.

mod script;

use crate::message::item::Items;
use crate::message::note::Notes;
use crate::message::{self, Parsed};
use crate::units::{Assembly, MAX_UNIT};
use crate::wire::ack::MAX_RANGES;
use crate::wire::frame::{Frame, Frames};
use crate::wire::header::{HEADER, Header, OVERHEAD};

pub use script::lane;

/// A header that is understood is written again bit by bit the same, and its checks never overflow.
pub fn header(data: &[u8]) {
    let Ok(header) = Header::decode(data) else {
        return;
    };
    let mut again = [0; HEADER];
    header.encode(&mut again);
    assert_eq!(again, data[..HEADER]);
    let fits = header.check_datagram(data.len()).is_ok();
    assert_eq!(
        fits,
        usize::from(header.payload_len) + OVERHEAD == data.len()
    );
    if header.check_data(header.payload_len.into()).is_ok() {
        assert!(header.unit_len <= MAX_UNIT && header.offset < header.unit_len);
    }
    assert!(Header::aad(&again)[4..12].iter().all(|&b| b == 0));
}

/// Frames that are understood mean the same when written again; ACK ranges are few, descending and apart.
pub fn frames(data: &[u8]) {
    let mut again = Vec::new();
    let read: Vec<_> = Frames::new(data).map_while(Result::ok).collect();
    for frame in &read {
        frame.encode(&mut again);
        if let Frame::Ack(ack) = frame {
            let ranges: Vec<_> = ack.ranges().collect();
            assert!(ranges.len() <= MAX_RANGES && ranges[0].1 == ack.largest);
            assert!(ranges.iter().all(|r| r.0 <= r.1));
            assert!(ranges.windows(2).all(|w| w[1].1 + 1 < w[0].0));
        }
    }
    let reread: Vec<_> = Frames::new(&again).map_while(Result::ok).collect();
    let apart = |frames: &[Frame]| frames.iter().filter(|f| **f != Frame::Padding).count();
    assert_eq!(apart(&read), apart(&reread));
    assert!(
        read.iter()
            .filter(|f| **f != Frame::Padding)
            .eq(reread.iter().filter(|f| **f != Frame::Padding))
    );
}

/// An assembly agrees with a bitmap, whatever is inserted in whatever order.
pub fn assembly(data: &[u8]) {
    let Some((&len, ops)) = data.split_first() else {
        return;
    };
    let len = u32::from(len) + 1;
    let (mut assembly, mut bits) = (Assembly::new(len), vec![false; len as usize]);
    for op in ops.chunks_exact(3) {
        let (offset, size) = (u32::from(op[0]), u32::from(op[1]));
        let end = offset + size;
        let inside = |b: bool| (offset..end.min(len)).all(|at| bits[at as usize] == b);
        if size > 0 {
            assert_eq!(assembly.is_free(offset, size), end <= len && inside(false));
            assert_eq!(assembly.has(offset, size), end <= len && inside(true));
            assert_eq!(assembly.first_gap(offset, end).is_none(), inside(true));
        }
        let wild = op[2] == u8::MAX;
        assembly.insert(if wild { u32::MAX - offset } else { offset }, size);
        if !wild {
            bits.iter_mut()
                .skip(offset as usize)
                .take(size as usize)
                .for_each(|b| *b = true);
        }
        assert_eq!(assembly.is_complete(), bits.iter().all(|&b| b));
    }
}

/// A unit that is understood means the same when its items or notes are written again.
pub fn message(data: &[u8]) {
    match message::parse(data) {
        Ok(Parsed::Chunk {
            data: chunk,
            trailer,
        }) => {
            assert_eq!([chunk, &trailer.encode()].concat(), data);
        }
        Ok(Parsed::Bundle { items, .. }) => {
            let read: Vec<_> = Items::new(items).map_while(Result::ok).collect();
            let mut again = Vec::new();
            read.iter().for_each(|item| item.encode(&mut again));
            assert_eq!(Items::new(&again).collect::<Result<Vec<_>, _>>(), Ok(read));
        }
        Ok(Parsed::Message { notes, .. }) => {
            let read: Vec<_> = Notes::new(notes).map_while(Result::ok).collect();
            let mut again = Vec::new();
            read.iter().for_each(|note| note.encode(&mut again));
            assert_eq!(Notes::new(&again).collect::<Result<Vec<_>, _>>(), Ok(read));
        }
        Err(_) => {}
    }
}
