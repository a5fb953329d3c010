use std::sync::Arc;

use super::*;

fn keys(suite: Suite) -> SessionKeys {
    let client_random = std::array::from_fn(|i| i as u8);
    let server_random = std::array::from_fn(|i| 0x80 + i as u8);
    SessionKeys {
        connection_id: 0x0123_4567_89ab_cdef,
        client_random,
        server_random,
        suite,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The header of the vectors in docs/PROTOCOL.md: DATA, lane 1, 5 bytes of payload.
fn header() -> [u8; HEADER] {
    let mut h = [0u8; HEADER];
    h[0] = 0x50;
    h[1] = 1;
    h[3] = 5;
    h[12..20].copy_from_slice(&7u64.to_be_bytes());
    h[20..24].copy_from_slice(&3u32.to_be_bytes());
    h[24..28].copy_from_slice(&64u32.to_be_bytes());
    h[28..32].copy_from_slice(&69u32.to_be_bytes());
    h
}

fn vector(suite: Suite) -> (String, String, String) {
    let secret = Secret::of(&keys(suite));
    let okm = secret.material(Direction::ClientToServer, Medium::Udp, 1, 0);
    let key = secret.packet_key(Direction::ClientToServer, Medium::Udp, 1, 0);
    let mut sealed = [0u8; 5 + TAG];
    key.seal(7, &header(), b"hello", &mut sealed).unwrap();
    (
        hex(&okm),
        hex(&sealed),
        hex(&key.seal_header(7, &header()).unwrap()),
    )
}

#[test]
fn known_answers_aes() {
    let (okm, sealed, clear) = vector(Suite::Aes128Gcm);
    assert_eq!(
        okm,
        "eb492a2eea0f4816d96b5da21d545c81092b4fc6a14cc95c3a8447fc"
    );
    assert_eq!(sealed, "91a7fb3b8037578a58c492dc944f569bf75a8ad622");
    assert_eq!(clear, "0d106a93e81f86fbc7021bbe573bf75e");
}

#[test]
fn known_answers_chacha() {
    let (okm, sealed, clear) = vector(Suite::ChaCha20Poly1305);
    assert_eq!(
        okm,
        "eb492a2eea0f4816d96b5da21d545c81092b4fc6a14cc95c3a8447fc8a911185b5be8f7eebdf26e9abddde0f"
    );
    assert_eq!(sealed, "0403ca41bd3ef19fc1921c839aa2980ddbdb9e4bdf");
    assert_eq!(clear, "584a82be2d560604ed6faf21ac4daa8b");
}

#[test]
fn every_label_makes_another_key() {
    let secret = Secret::of(&keys(Suite::Aes128Gcm));
    let mut seen = std::collections::HashSet::new();
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        for medium in [Medium::Udp, Medium::Tcp] {
            for lane in [0, 1, 255] {
                for phase in [0, 1, u32::MAX] {
                    assert!(seen.insert(secret.material(direction, medium, lane, phase).to_vec()));
                }
            }
        }
    }
}

#[test]
fn any_changed_bit_is_refused() {
    let key = Secret::of(&keys(Suite::Aes128Gcm)).packet_key(
        Direction::ClientToServer,
        Medium::Tcp,
        0,
        0,
    );
    let mut sealed = [0u8; 5 + TAG];
    key.seal(7, &header(), b"hello", &mut sealed).unwrap();
    let mut out = [0u8; 5];
    key.open(7, &header(), &sealed, &mut out).unwrap();
    assert_eq!(&out, b"hello");
    for bit in 0..sealed.len() * 8 {
        let mut forged = sealed;
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(key.open(7, &header(), &forged, &mut out).is_err());
    }
    let mut aad = header();
    aad[31] ^= 1;
    assert!(key.open(7, &aad, &sealed, &mut out).is_err());
    assert!(key.open(8, &header(), &sealed, &mut out).is_err());
}

fn schedule() -> KeySchedule {
    let secret = Arc::new(Secret::of(&keys(Suite::Aes128Gcm)));
    KeySchedule {
        secret,
        direction: Direction::ClientToServer,
        medium: Medium::Udp,
        lane: 0,
    }
}

fn sealed_by(keys: &SealKeys, number: u64) -> [u8; 5 + TAG] {
    let mut out = [0u8; 5 + TAG];
    keys.key()
        .seal(number, &header(), b"hello", &mut out)
        .unwrap();
    out
}

fn open(
    keys: &mut OpenKeys,
    number: u64,
    phase_bit: bool,
    bytes: &[u8],
) -> Result<bool, Unspecified> {
    keys.open(
        Sealed {
            number,
            phase_bit,
            aad: &header(),
            bytes,
        },
        &mut [0u8; 5],
    )
}

#[test]
fn a_rotation_is_followed_and_late_packets_still_open() {
    let (mut seal, mut opener) = (SealKeys::new(schedule()), OpenKeys::new(schedule()));
    let late = sealed_by(&seal, 1);
    assert_eq!(open(&mut opener, 0, false, &sealed_by(&seal, 0)), Ok(false));
    seal.rotate_to(1);
    assert_eq!(open(&mut opener, 2, true, &sealed_by(&seal, 2)), Ok(true));
    assert_eq!(open(&mut opener, 1, false, &late), Ok(false));
    opener.drop_previous();
    assert!(open(&mut opener, 1, false, &late).is_err());
    seal.rotate_to(2);
    assert_eq!(open(&mut opener, 3, false, &sealed_by(&seal, 3)), Ok(true));
    assert_eq!(opener.phase(), 2);
}

#[test]
fn a_forged_phase_bit_moves_nothing() {
    let (seal, mut opener) = (SealKeys::new(schedule()), OpenKeys::new(schedule()));
    assert!(open(&mut opener, 0, true, &sealed_by(&seal, 0)).is_err());
    assert_eq!(opener.phase(), 0);
    assert_eq!(open(&mut opener, 0, false, &sealed_by(&seal, 0)), Ok(false));
}
