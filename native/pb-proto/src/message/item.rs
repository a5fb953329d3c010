//! Items of a bundle: what the sender of files says.

use super::codec::{DecodeError, Reader, put_string, put_varint};

/// Longest path, bytes (PATH_MAX).
pub const MAX_PATH: usize = 4096;
/// Longest error text, bytes.
pub const MAX_TEXT: usize = 1024;
/// Size of a file whose end is not known yet (a pipe).
pub const UNKNOWN_SIZE: u64 = (1 << 62) - 1;

/// What an entry is called and carries besides bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta<'a> {
    /// Number of the entry within its job, from 0; each gets exactly one result.
    pub id: u32,
    /// Relative to the job's base, '/'-separated; empty: the base itself.
    pub path: &'a [u8],
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// A run of chunks, by index.
pub type ChunkRun = (u64, u64);

/// What makes a source the same: of its size, mtime and inode, or its ETag (`docs/design/0004`).
pub type SourceToken = [u8; 16];
/// Of what can't be resumed: a pipe, a file that changes faster than it can be offered.
pub const NO_TOKEN: SourceToken = [0; 16];

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    Directory(Meta<'a>),
    Link {
        meta: Meta<'a>,
        target: &'a [u8],
    },
    /// A whole small file.
    Inline {
        meta: Meta<'a>,
        token: SourceToken,
        hash: [u8; 32],
        content: &'a [u8],
    },
    /// A file that could be sent if the receiver wants it; inline or in chunks of `1 << chunk_log2`. Said again of an id of
    /// which nothing was sent: the source has changed, what was said of it is withdrawn, it begins anew.
    Offer {
        meta: Meta<'a>,
        token: SourceToken,
        size: u64,
        chunk_log2: u8,
    },
    /// A file whose chunks follow unasked.
    Open {
        meta: Meta<'a>,
        token: SourceToken,
        size: u64,
        chunk_log2: u8,
    },
    /// The content of an offered small file.
    Content {
        id: u32,
        hash: [u8; 32],
        content: &'a [u8],
    },
    /// (first chunk, count): chunks that hold only zeros and are not sent.
    Holes {
        id: u32,
        runs: Vec<ChunkRun>,
    },
    /// The source was unchanged to its end; size and root hash.
    End {
        id: u32,
        size: u64,
        hash: [u8; 32],
    },
    /// The entry can't be sent; what arrived of it is to be discarded.
    Withdraw {
        id: u32,
        code: &'a [u8],
        text: &'a [u8],
    },
    /// No more entries; how many there were.
    Finish {
        entries: u64,
    },
}

const DIRECTORY: u8 = 1;
const LINK: u8 = 2;
const INLINE: u8 = 3;
const OFFER: u8 = 4;
const OPEN: u8 = 5;
const CONTENT: u8 = 6;
const HOLES: u8 = 7;
const END: u8 = 8;
const WITHDRAW: u8 = 9;
const FINISH: u8 = 10;

/// Chunks are 64 KiB to 1 MiB.
const CHUNK_LOG2: std::ops::RangeInclusive<u8> = 16..=20;
/// Runs of holes in one item.
pub const MAX_RUNS: usize = 4096;

/// Iterates over the items of a bundle; ends after the first error.
pub struct Items<'a> {
    reader: Reader<'a>,
    failed: bool,
}

impl<'a> Items<'a> {
    pub fn new(bytes: &'a [u8]) -> Items<'a> {
        Items {
            reader: Reader::new(bytes),
            failed: false,
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.reader.is_empty() {
            return None;
        }
        let item = read_item(&mut self.reader);
        self.failed = item.is_err();
        Some(item)
    }
}

fn read_item<'a>(r: &mut Reader<'a>) -> Result<Item<'a>, DecodeError> {
    Ok(match r.u8()? {
        DIRECTORY => Item::Directory(read_meta(r)?),
        LINK => Item::Link {
            meta: read_meta(r)?,
            target: r.string(MAX_PATH, "link target")?,
        },
        INLINE => Item::Inline {
            meta: read_meta(r)?,
            token: r.array()?,
            hash: r.array()?,
            content: read_content(r)?,
        },
        OFFER => Item::Offer {
            meta: read_meta(r)?,
            token: r.array()?,
            size: r.varint()?,
            chunk_log2: read_log2(r)?,
        },
        OPEN => Item::Open {
            meta: read_meta(r)?,
            token: r.array()?,
            size: r.varint()?,
            chunk_log2: read_log2(r)?,
        },
        CONTENT => Item::Content {
            id: r.varint32("id")?,
            hash: r.array()?,
            content: read_content(r)?,
        },
        HOLES => Item::Holes {
            id: r.varint32("id")?,
            runs: read_runs(r)?,
        },
        END => Item::End {
            id: r.varint32("id")?,
            size: r.varint()?,
            hash: r.array()?,
        },
        WITHDRAW => Item::Withdraw {
            id: r.varint32("id")?,
            code: r.string(MAX_TEXT, "code")?,
            text: r.string(MAX_TEXT, "text")?,
        },
        FINISH => Item::Finish {
            entries: r.varint()?,
        },
        _ => return Err(DecodeError::Unknown("item")),
    })
}

fn read_content<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    r.string(crate::units::MAX_UNIT as usize, "content")
}

pub(super) fn read_log2(r: &mut Reader<'_>) -> Result<u8, DecodeError> {
    Some(r.u8()?)
        .filter(|l| CHUNK_LOG2.contains(l))
        .ok_or(DecodeError::Bounds("chunk size"))
}

fn read_meta<'a>(r: &mut Reader<'a>) -> Result<Meta<'a>, DecodeError> {
    Ok(Meta {
        id: r.varint32("id")?,
        path: r.string(MAX_PATH, "path")?,
        mtime_ns: r.u64()? as i64,
        mode: r.varint32("mode")?,
        uid: r.varint32("uid")?,
        gid: r.varint32("gid")?,
    })
}

fn read_runs(r: &mut Reader<'_>) -> Result<Vec<ChunkRun>, DecodeError> {
    let n = r.varint()?;
    if n > MAX_RUNS as u64 {
        return Err(DecodeError::Bounds("hole runs"));
    }
    (0..n).map(|_| Ok((r.varint()?, r.varint()?))).collect()
}

fn put_meta(out: &mut Vec<u8>, tag: u8, m: &Meta<'_>) {
    out.push(tag);
    put_varint(out, u64::from(m.id));
    put_string(out, m.path);
    out.extend_from_slice(&m.mtime_ns.to_be_bytes());
    put_varint(out, u64::from(m.mode));
    put_varint(out, u64::from(m.uid));
    put_varint(out, u64::from(m.gid));
}

impl Item<'_> {
    /// Appends the item.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Item::Directory(meta) => put_meta(out, DIRECTORY, meta),
            Item::Link { meta, target } => {
                put_meta(out, LINK, meta);
                put_string(out, target);
            }
            Item::Inline {
                meta,
                token,
                hash,
                content,
            } => {
                put_meta(out, INLINE, meta);
                out.extend_from_slice(token);
                out.extend_from_slice(hash);
                put_string(out, content);
            }
            Item::Offer {
                meta,
                token,
                size,
                chunk_log2,
            } => {
                put_meta(out, OFFER, meta);
                put_sized(out, token, *size, *chunk_log2);
            }
            Item::Open {
                meta,
                token,
                size,
                chunk_log2,
            } => {
                put_meta(out, OPEN, meta);
                put_sized(out, token, *size, *chunk_log2);
            }
            Item::Content { id, hash, content } => {
                put_id(out, CONTENT, *id);
                out.extend_from_slice(hash);
                put_string(out, content);
            }
            Item::Holes { id, runs } => {
                put_id(out, HOLES, *id);
                put_varint(out, runs.len() as u64);
                for &(first, count) in runs {
                    put_varint(out, first);
                    put_varint(out, count);
                }
            }
            Item::End { id, size, hash } => {
                put_id(out, END, *id);
                put_varint(out, *size);
                out.extend_from_slice(hash);
            }
            Item::Withdraw { id, code, text } => {
                put_id(out, WITHDRAW, *id);
                put_string(out, code);
                put_string(out, &text[..text.len().min(MAX_TEXT)]);
            }
            Item::Finish { entries } => {
                out.push(FINISH);
                put_varint(out, *entries);
            }
        }
    }
}

fn put_id(out: &mut Vec<u8>, tag: u8, id: u32) {
    out.push(tag);
    put_varint(out, u64::from(id));
}

fn put_sized(out: &mut Vec<u8>, token: &SourceToken, size: u64, chunk_log2: u8) {
    out.extend_from_slice(token);
    put_varint(out, size);
    out.push(chunk_log2);
}

/// An upper bound of the bytes that an item with this path and content takes, for filling bundles.
pub fn encoded_bound(path: usize, content: usize) -> usize {
    path + content + 128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta<'static> {
        Meta {
            id: 70_000,
            path: b"a/\xff b",
            mtime_ns: -5,
            mode: 0o644,
            uid: 1000,
            gid: 0,
        }
    }

    fn all() -> Vec<Item<'static>> {
        vec![
            Item::Directory(meta()),
            Item::Link {
                meta: meta(),
                target: b"../x",
            },
            Item::Inline {
                meta: meta(),
                token: [6; 16],
                hash: [1; 32],
                content: b"hello",
            },
            Item::Offer {
                meta: meta(),
                token: [7; 16],
                size: 1 << 41,
                chunk_log2: 20,
            },
            Item::Open {
                meta: meta(),
                token: NO_TOKEN,
                size: UNKNOWN_SIZE,
                chunk_log2: 16,
            },
            Item::Content {
                id: 3,
                hash: [9; 32],
                content: b"",
            },
            Item::Holes {
                id: 4,
                runs: vec![(0, 5), (1 << 33, 2)],
            },
            Item::End {
                id: 4,
                size: 77,
                hash: [2; 32],
            },
            Item::Withdraw {
                id: 4,
                code: b"source_changed",
                text: b"changed",
            },
            Item::Finish { entries: 12 },
        ]
    }

    #[test]
    fn round_trip() {
        let mut bytes = Vec::new();
        for item in all() {
            let before = bytes.len();
            item.encode(&mut bytes);
            assert!(bytes.len() - before <= encoded_bound(16, 64));
        }
        let back: Result<Vec<_>, _> = Items::new(&bytes).collect();
        assert_eq!(back.unwrap(), all());
    }

    #[test]
    fn truncated_at_every_byte_is_an_error_or_fewer_items() {
        let mut bytes = Vec::new();
        all().iter().for_each(|i| i.encode(&mut bytes));
        for cut in 0..bytes.len() {
            let items: Vec<_> = Items::new(&bytes[..cut]).collect();
            assert!(items.len() <= all().len());
            assert!(items.last().is_none_or(Result::is_err) || items.len() < all().len());
        }
    }

    #[test]
    fn bounds_are_kept() {
        let mut bytes = Vec::new();
        Item::Open {
            meta: meta(),
            token: NO_TOKEN,
            size: 1,
            chunk_log2: 63,
        }
        .encode(&mut bytes);
        assert_eq!(
            Items::new(&bytes).next(),
            Some(Err(DecodeError::Bounds("chunk size")))
        );
        assert_eq!(
            Items::new(&[0]).next(),
            Some(Err(DecodeError::Unknown("item")))
        );
        let huge = [HOLES, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(
            Items::new(&huge).next(),
            Some(Err(DecodeError::Bounds("hole runs")))
        );
    }
}
