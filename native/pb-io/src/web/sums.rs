//! What a server is told of content beforehand.

use aws_lc_rs::digest::{Context, SHA256};

use crate::pump::Memory;

/// Of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// ISO 3309, as of gzip.
    pub crc32: u32,
    /// Where it was asked for.
    pub sha256: Option<Vec<u8>>,
}

/// Of pieces that follow each other.
pub fn sums(pieces: &[Memory], with_sha256: bool) -> Sums {
    let mut crc32 = crc32fast::Hasher::new();
    let mut sha256 = with_sha256.then(|| Context::new(&SHA256));
    for piece in pieces {
        // A part that is in the processor's memory for the second sum as well.
        for part in piece.bytes().chunks(PART) {
            crc32.update(part);
            if let Some(sha256) = &mut sha256 {
                sha256.update(part);
            }
        }
    }
    Sums {
        crc32: crc32.finalize(),
        sha256: sha256.map(|sum| sum.finish().as_ref().to_vec()),
    }
}

/// Half of a first-level cache of data, which is 32 KiB where it is small.
const PART: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_all_pieces_together() {
        let pieces = |texts: &[&str]| -> Vec<Memory> {
            let bytes = |text: &&str| Memory::Bytes(text.as_bytes().to_vec());
            texts.iter().map(bytes).collect()
        };
        // The check value of the CRC catalogue; FIPS 180-4's example "abc".
        assert_eq!(
            sums(&pieces(&["1234", "", "56789"]), false).crc32,
            0xcbf4_3926
        );
        let abc = sums(&pieces(&["a", "bc"]), true).sha256.unwrap();
        assert_eq!(abc[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(abc.len(), 32);
    }
}
