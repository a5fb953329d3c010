//! Variable-length integers of RFC 9000 section 16: 62 bits in 1, 2, 4 or 8 bytes.

use super::DecodeError;

/// Largest value that can be written.
pub const MAX: u64 = (1 << 62) - 1;

/// Bytes that `value` takes.
pub fn size(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Appends `value`, clamped to [`MAX`].
pub fn put(out: &mut Vec<u8>, value: u64) {
    let value = value.min(MAX);
    match size(value) {
        1 => out.push(value as u8),
        2 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        4 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Reads one integer and moves `bytes` behind it. Encodings longer than needed are accepted, as in RFC 9000.
pub fn take(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let first = *bytes.first().ok_or(DecodeError::Truncated)?;
    let len = 1usize << (first >> 6);
    let (head, rest) = bytes.split_at_checked(len).ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(head[1..]
        .iter()
        .fold(u64::from(first & 0x3f), |v, &b| v << 8 | u64::from(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc9000_examples() {
        let cases: [(&[u8], u64); 5] = [
            (
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
                151_288_809_941_952_652,
            ),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ];
        for (bytes, value) in cases {
            let mut at = bytes;
            assert_eq!(take(&mut at), Ok(value));
            assert!(at.is_empty());
        }
    }

    proptest! {
        #[test]
        fn round_trips_and_every_truncation_fails(value in 0u64..=MAX) {
            let mut out = Vec::new();
            put(&mut out, value);
            prop_assert_eq!(out.len(), size(value));
            let mut at = &out[..];
            prop_assert_eq!(take(&mut at), Ok(value));
            for cut in 0..out.len() {
                prop_assert_eq!(take(&mut &out[..cut]), Err(DecodeError::Truncated));
            }
        }
    }
}
