//! What units carry: chunks of files, bundles of items, and messages. See `docs/PROTOCOL.md` section 5.
//!
//! The last byte of a unit is its kind, and the trailer before it names the job, so that data starts at offset 0 of
//! the buffer it is received into.

mod codec;
pub mod item;
pub mod note;

pub use codec::DecodeError;
use codec::Reader;

/// Bytes of a [`ChunkTrailer`], the kind byte included.
pub const CHUNK_TRAILER: usize = 4 + 4 + 8 + 32 + 1 + 1;
/// Bytes behind the items of a bundle or the notes of a message: job and kind.
pub const LIST_TRAILER: usize = 4 + 1;

const KIND_CHUNK: u8 = 1;
const KIND_BUNDLE: u8 = 2;
const KIND_MESSAGE: u8 = 3;

/// In the flags of a chunk.
const SPARSE: u8 = 1;

/// What a chunk is a chunk of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkTrailer {
    pub job: u32,
    pub file: u32,
    /// Byte offset in the file.
    pub offset: u64,
    /// BLAKE3 chaining value (not root) of the chunk at its offset.
    pub chaining_value: [u8; 32],
    /// The file has holes: blocks of zeros need not be written. Said with each chunk, as units have no order.
    pub sparse: bool,
}

/// A unit, parsed from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    Chunk {
        data: &'a [u8],
        trailer: ChunkTrailer,
    },
    /// From the sender of files: see [`item::Item`].
    Bundle { job: u32, items: &'a [u8] },
    /// From either side: see [`note::Note`].
    Message { job: u32, notes: &'a [u8] },
}

/// Splits a whole unit into what it is.
pub fn parse(unit: &[u8]) -> Result<Parsed<'_>, DecodeError> {
    let (&kind, rest) = unit.split_last().ok_or(DecodeError::Truncated)?;
    match kind {
        KIND_CHUNK => {
            let at = rest
                .len()
                .checked_sub(CHUNK_TRAILER - 1)
                .ok_or(DecodeError::Truncated)?;
            let (data, trailer) = rest.split_at(at);
            Ok(Parsed::Chunk {
                data,
                trailer: ChunkTrailer::decode(trailer)?,
            })
        }
        KIND_BUNDLE => split_list(rest).map(|(job, items)| Parsed::Bundle { job, items }),
        KIND_MESSAGE => split_list(rest).map(|(job, notes)| Parsed::Message { job, notes }),
        _ => Err(DecodeError::Unknown("unit kind")),
    }
}

fn split_list(rest: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    let at = rest.len().checked_sub(4).ok_or(DecodeError::Truncated)?;
    let (list, job) = rest.split_at(at);
    Ok((Reader::new(job).u32()?, list))
}

impl ChunkTrailer {
    fn decode(bytes: &[u8]) -> Result<ChunkTrailer, DecodeError> {
        let mut r = Reader::new(bytes);
        Ok(ChunkTrailer {
            job: r.u32()?,
            file: r.u32()?,
            offset: r.u64()?,
            chaining_value: r.array()?,
            sparse: read_flags(r.u8()?)?,
        })
    }

    /// The bytes behind the data of a chunk.
    pub fn encode(&self) -> [u8; CHUNK_TRAILER] {
        let mut out = [0; CHUNK_TRAILER];
        out[0..4].copy_from_slice(&self.job.to_be_bytes());
        out[4..8].copy_from_slice(&self.file.to_be_bytes());
        out[8..16].copy_from_slice(&self.offset.to_be_bytes());
        out[16..48].copy_from_slice(&self.chaining_value);
        out[48] = if self.sparse { SPARSE } else { 0 };
        out[49] = KIND_CHUNK;
        out
    }
}

fn read_flags(flags: u8) -> Result<bool, DecodeError> {
    match flags {
        0 => Ok(false),
        SPARSE => Ok(true),
        _ => Err(DecodeError::Unknown("chunk flag")),
    }
}

/// The bytes behind the items of a bundle.
pub fn bundle_trailer(job: u32) -> [u8; LIST_TRAILER] {
    list_trailer(job, KIND_BUNDLE)
}

/// The bytes behind the notes of a message.
pub fn message_trailer(job: u32) -> [u8; LIST_TRAILER] {
    list_trailer(job, KIND_MESSAGE)
}

fn list_trailer(job: u32, kind: u8) -> [u8; LIST_TRAILER] {
    let mut out = [kind; LIST_TRAILER];
    out[..4].copy_from_slice(&job.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_round_trip() {
        let t = ChunkTrailer {
            job: 7,
            file: 9,
            offset: 1 << 40,
            chaining_value: [3; 32],
            sparse: true,
        };
        let mut unit = b"data".to_vec();
        unit.extend_from_slice(&t.encode());
        assert_eq!(
            parse(&unit),
            Ok(Parsed::Chunk {
                data: b"data",
                trailer: t
            })
        );
    }

    #[test]
    fn lists_round_trip_and_truncation_is_an_error() {
        let mut unit = b"xy".to_vec();
        unit.extend_from_slice(&bundle_trailer(5));
        assert_eq!(
            parse(&unit),
            Ok(Parsed::Bundle {
                job: 5,
                items: b"xy"
            })
        );
        assert_eq!(parse(&[2]), Err(DecodeError::Truncated));
        assert_eq!(parse(&[]), Err(DecodeError::Truncated));
        assert!(parse(&[0; 60]).is_err());
        assert_eq!(parse(&[1; 40]), Err(DecodeError::Truncated));
    }
}
