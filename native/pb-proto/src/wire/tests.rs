//! Tables and properties over all codecs.

use proptest::prelude::*;

use super::DecodeError;
use super::frame::{Ack, AckCounts, Frame, Frames, Hello, MAX_RANGES, put_ack};
use super::header::{HEADER, Header, Kind, OVERHEAD, TAG};
use crate::error::Violation;
use crate::fuzzing;
use crate::units::MAX_UNIT;

fn data() -> Header {
    Header {
        kind: Kind::Data,
        key_phase: true,
        clear: false,
        lane: 3,
        payload_len: 64,
        connection_id: 0x0102_0304_0506_0708,
        packet_number: 99,
        unit: 5,
        offset: 128,
        unit_len: 1 << 20,
    }
}

fn datagram(header: &Header) -> Vec<u8> {
    let mut bytes = [0; HEADER];
    header.encode(&mut bytes);
    [&bytes[..], &vec![0; usize::from(header.payload_len) + TAG]].concat()
}

#[test]
fn the_layout_is_that_of_the_document() {
    let bytes = datagram(&data());
    let expected = [
        0x58, 3, 0, 64, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 5, 0, 0, 0, 128,
        0, 0x10, 0, 0,
    ];
    assert_eq!(bytes[..HEADER], expected);
    assert_eq!(Header::decode_datagram(&bytes), Ok(data()));
}

#[test]
fn every_truncation_and_extension_is_dropped() {
    let bytes = datagram(&data());
    for cut in 0..bytes.len() {
        assert!(
            Header::decode_datagram(&bytes[..cut]).is_err(),
            "{cut} bytes"
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Header::decode_datagram(&longer), Err(DecodeError::Length));
    assert_eq!(Header::decode_datagram(&[]), Err(DecodeError::Truncated));
}

/// T10: each field at 0, 1, -1 and the largest lawful value, in every kind of packet.
#[test]
fn every_field_at_its_edges() {
    type Set = fn(&mut Header, u64);
    let fields: [(&str, Set); 6] = [
        ("payload length", |h, v| h.payload_len = v as u16),
        ("connection id", |h, v| h.connection_id = v),
        ("packet number", |h, v| h.packet_number = v),
        ("unit", |h, v| h.unit = v as u32),
        ("offset", |h, v| h.offset = v as u32),
        ("unit length", |h, v| h.unit_len = v as u32),
    ];
    for (name, set) in fields {
        for value in [
            0,
            1,
            u64::from(MAX_UNIT),
            u64::from(MAX_UNIT) + 1,
            u64::MAX - 1,
            u64::MAX,
        ] {
            for kind in [Kind::Control, Kind::Data, Kind::Hello, Kind::HelloAck] {
                let mut header = Header { kind, ..data() };
                set(&mut header, value);
                let mut bytes = [0; HEADER];
                header.encode(&mut bytes);
                fuzzing::header(&bytes);
                let decoded = Header::decode(&bytes);
                let bare = header.unit == 0 && header.offset == 0 && header.unit_len == 0;
                let lawful = kind == Kind::Data || bare;
                assert_eq!(decoded.is_ok(), lawful, "{name} {value} {kind:?}");
            }
        }
    }
}

#[test]
fn flag_bits_are_version_type_phase_clear_and_zeros() {
    for flags in 0..=u8::MAX {
        let mut bytes = datagram(&Header {
            unit: 0,
            offset: 0,
            unit_len: 0,
            ..data()
        });
        bytes[0] = flags;
        let (version, kind, clear, reserved) =
            (flags >> 6, flags >> 4 & 3, flags & 4 != 0, flags & 3);
        let lawful = version == 1 && reserved == 0 && (!clear || kind == 1);
        assert_eq!(Header::decode(&bytes).is_ok(), lawful, "{flags:#010b}");
    }
}

#[test]
fn data_lies_inside_a_lawful_unit() {
    let check = |offset, unit_len, payload| {
        Header {
            offset,
            unit_len,
            ..data()
        }
        .check_data(payload)
    };
    assert_eq!(check(0, 1, 1), Ok(()));
    assert_eq!(check(MAX_UNIT - 64, MAX_UNIT, 64), Ok(()));
    assert_eq!(check(0, 0, 64), Err(Violation::UnitLength(0)));
    assert_eq!(
        check(0, MAX_UNIT + 1, 64),
        Err(Violation::UnitLength(MAX_UNIT + 1))
    );
    assert_eq!(check(0, u32::MAX, 64), Err(Violation::UnitLength(u32::MAX)));
    for (offset, unit_len, payload) in [
        (0, 10, 0),
        (0, 10, 11),
        (10, 10, 1),
        (9, 10, 2),
        (u32::MAX, 10, 1),
        (u32::MAX, 10, u32::MAX),
    ] {
        let refused = Violation::UnitRange {
            offset,
            payload,
            unit_len,
        };
        assert_eq!(check(offset, unit_len, payload), Err(refused));
    }
}

#[test]
fn the_connection_id_is_not_authenticated() {
    let encode = |connection_id| {
        let mut bytes = [0; HEADER];
        Header {
            connection_id,
            ..data()
        }
        .encode(&mut bytes);
        bytes
    };
    assert_ne!(encode(1), encode(2));
    assert_eq!(Header::aad(&encode(1)), Header::aad(&encode(2)));
}

fn frame() -> impl Strategy<Value = Frame<'static>> {
    let number = 0u64..1 << 62;
    prop_oneof![
        Just(Frame::Ping),
        Just(Frame::LaneDone),
        number.clone().prop_map(Frame::Grant),
        any::<[u8; 8]>().prop_map(Frame::PathChallenge),
        any::<[u8; 8]>().prop_map(Frame::PathResponse),
        number.clone().prop_map(|code| Frame::Close {
            code,
            reason: "disk full: è"
        }),
        (any::<[u8; 8]>(), any::<u8>(), any::<u16>(), number.clone()).prop_map(
            |(challenge, lanes, max_datagram, grant)| {
                Frame::Hello(Hello {
                    challenge,
                    lanes,
                    max_datagram,
                    grant,
                })
            }
        ),
        (number, 0u64..1000).prop_map(|(largest, delay_us)| {
            Frame::Ack(Ack::everything(
                largest,
                AckCounts {
                    delay_us,
                    ..AckCounts::default()
                },
            ))
        }),
    ]
}

proptest! {
    #[test]
    fn headers_round_trip(bytes in any::<[u8; 64]>()) {
        fuzzing::header(&bytes);
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::frames(&bytes);
    }

    #[test]
    fn frames_round_trip_and_no_truncation_passes(frames in prop::collection::vec(frame(), 1..6)) {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for frame in &frames {
            frame.encode(&mut bytes);
            ends.push(bytes.len());
        }
        let read: Result<Vec<_>, _> = Frames::new(&bytes).collect();
        prop_assert_eq!(read.as_ref(), Ok(&frames));
        for cut in 0..bytes.len() {
            let last = Frames::new(&bytes[..cut]).last();
            prop_assert_eq!(last.is_some_and(|f| f.is_err()), !ends.contains(&cut), "cut at {}", cut);
        }
    }

    #[test]
    fn acks_round_trip(gaps in prop::collection::vec((2u64..300, 0u64..300), 1..MAX_RANGES + 20)) {
        let mut top = 1 << 40;
        let ranges: Vec<_> = gaps.into_iter().map(|(gap, len)| {
            let high = top - gap;
            top = high - len;
            (top, high)
        }).collect();
        let counts = AckCounts { delay_us: 7, received_bytes: 1 << 50, socket_drops: 2, ecn_ce: 1 };
        let mut bytes = Vec::new();
        put_ack(&mut bytes, counts, ranges.iter().copied());
        let Some(Ok(Frame::Ack(ack))) = Frames::new(&bytes).next() else { panic!("not an ACK") };
        let kept = &ranges[..ranges.len().min(MAX_RANGES)];
        prop_assert_eq!(ack.ranges().collect::<Vec<_>>(), kept);
        prop_assert_eq!((ack.delay_us, ack.received_bytes, ack.socket_drops, ack.ecn_ce), (7, 1 << 50, 2, 1));
    }
}

#[test]
fn hostile_acks_are_refused() {
    let ack = |more: &[u64]| {
        let mut bytes = vec![0x02];
        [100, 0, 0, 0, 0]
            .iter()
            .chain(more)
            .for_each(|&v| super::varint::put(&mut bytes, v));
        Frames::new(&bytes).next().unwrap().map(|_| ())
    };
    assert_eq!(ack(&[0, 100]), Ok(()));
    assert_eq!(ack(&[0, 101]), Err(DecodeError::RangeUnderflow));
    assert_eq!(ack(&[1, 50, 48, 0]), Ok(()));
    assert_eq!(ack(&[1, 50, 49, 0]), Err(DecodeError::RangeUnderflow));
    assert_eq!(ack(&[1, 50, 48, 1]), Err(DecodeError::RangeUnderflow));
    assert_eq!(ack(&[64, 0]), Err(DecodeError::TooManyRanges));
    assert_eq!(
        ack(&[super::varint::MAX, 0]),
        Err(DecodeError::TooManyRanges)
    );
    assert_eq!(ack(&[2, 0, 0, 0]), Err(DecodeError::Truncated));
}

#[test]
fn close_reasons_are_short_text() {
    let close = |len: u64, reason: &[u8]| {
        let mut bytes = vec![0x06, 1];
        super::varint::put(&mut bytes, len);
        bytes.extend_from_slice(reason);
        Frames::new(&bytes).next().unwrap().map(|_| ())
    };
    assert_eq!(close(256, &[b'a'; 256]), Ok(()));
    assert_eq!(close(257, &[b'a'; 257]), Err(DecodeError::Reason));
    assert_eq!(close(super::varint::MAX, b""), Err(DecodeError::Reason));
    assert_eq!(close(2, b"\xff\xfe"), Err(DecodeError::Reason));
    assert_eq!(close(3, b"ab"), Err(DecodeError::Truncated));
    let mut long = Vec::new();
    let reason = "è".repeat(200);
    Frame::Close {
        code: 1,
        reason: &reason,
    }
    .encode(&mut long);
    let Some(Ok(Frame::Close { reason, .. })) = Frames::new(&long).next() else {
        panic!("not a CLOSE")
    };
    assert_eq!(reason, "è".repeat(128));
}

#[test]
fn unknown_frames_and_short_packets_are_errors() {
    assert_eq!(
        Frames::new(&[0x09]).next(),
        Some(Err(DecodeError::UnknownFrame(9)))
    );
    let mut frames = Frames::new(&[0x01, 0xff, 0x01]);
    assert_eq!(frames.next(), Some(Ok(Frame::Ping)));
    assert!(frames.next().is_some_and(|f| f.is_err()));
    assert_eq!(frames.next(), None, "nothing is read behind an error");
    assert_eq!(
        data().check_datagram(OVERHEAD - 1),
        Err(DecodeError::Truncated)
    );
}
