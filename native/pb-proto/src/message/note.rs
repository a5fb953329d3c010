//! Notes of a message: what the receiver of files answers, and what either side says about the job.

use super::codec::{DecodeError, Reader, put_string, put_varint};
use super::item::{MAX_TEXT, read_log2};

/// How an entry ended at the receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Durable under its final name; the root hash of a file.
    Done {
        hash: [u8; 32],
    },
    /// A directory or link is in place.
    Placed,
    /// The policy left the destination as it was.
    Skipped,
    /// Durable since an earlier run of the job, which said so: nothing of it needs to be sent. The root hash, where the
    /// receiver's records have it.
    Resumed {
        hash: Option<[u8; 32]>,
    },
    Failed {
        code: &'a [u8],
        text: &'a [u8],
    },
}

/// One note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note<'a> {
    /// The receiver is ready; `push`: nothing is there, so entries need not be offered first.
    Accept {
        push: bool,
        /// Holes can't be left out: the bytes go to a stream.
        dense: bool,
    },
    /// Send the offered entry.
    Want {
        id: u32,
    },
    /// Send what is not durable here of the offered file, in chunks of `1 << chunk_log2`, once the values of all `chunks`
    /// durable ones are there ([`Note::Have`]; units have no order).
    Resume {
        id: u32,
        chunk_log2: u8,
        chunks: u64,
    },
    /// Chaining values of durable chunks of an offered file, from index `first` on; at most [`MAX_HAVE`].
    Have {
        id: u32,
        chunk_log2: u8,
        first: u64,
        values: &'a [[u8; 32]],
    },
    Result {
        id: u32,
        outcome: Outcome<'a>,
    },
    /// Verified payload bytes so far, cumulative.
    Progress {
        bytes: u64,
    },
    /// This chunk did not verify: send it again.
    Bad {
        id: u32,
        offset: u64,
    },
    /// Every entry has its result and the folders their times: the job is over, with so many verified bytes, and so many
    /// files that were known from an earlier run but had changed.
    Done {
        bytes: u64,
        redone: u64,
    },
    /// The job can't go on, from either side.
    Abort {
        code: &'a [u8],
        text: &'a [u8],
    },
}

const ACCEPT: u8 = 1;
const WANT: u8 = 2;
const RESULT_DONE: u8 = 3;
const RESULT_PLACED: u8 = 4;
const RESULT_SKIPPED: u8 = 5;
const RESULT_FAILED: u8 = 6;
const PROGRESS: u8 = 7;
const BAD: u8 = 8;
const DONE: u8 = 9;
const ABORT: u8 = 10;
const RESUME: u8 = 11;
const HAVE: u8 = 12;
const RESULT_RESUMED: u8 = 13;
const RESULT_RESUMED_AS: u8 = 14;

/// Values in one [`Note::Have`]: 128 KiB of them, so that one fits into any message.
pub const MAX_HAVE: usize = 4096;

/// Iterates over the notes of a message; ends after the first error.
pub struct Notes<'a> {
    reader: Reader<'a>,
    failed: bool,
}

impl<'a> Notes<'a> {
    pub fn new(bytes: &'a [u8]) -> Notes<'a> {
        Notes {
            reader: Reader::new(bytes),
            failed: false,
        }
    }
}

impl<'a> Iterator for Notes<'a> {
    type Item = Result<Note<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.reader.is_empty() {
            return None;
        }
        let note = read_note(&mut self.reader);
        self.failed = note.is_err();
        Some(note)
    }
}

fn read_note<'a>(r: &mut Reader<'a>) -> Result<Note<'a>, DecodeError> {
    let tag = r.u8()?;
    let result = |id, outcome| Note::Result { id, outcome };
    Ok(match tag {
        ACCEPT => read_accept(r.u8()?),
        WANT => Note::Want {
            id: r.varint32("id")?,
        },
        RESULT_DONE => result(r.varint32("id")?, Outcome::Done { hash: r.array()? }),
        RESULT_PLACED => result(r.varint32("id")?, Outcome::Placed),
        RESULT_SKIPPED => result(r.varint32("id")?, Outcome::Skipped),
        RESULT_RESUMED => result(r.varint32("id")?, Outcome::Resumed { hash: None }),
        RESULT_RESUMED_AS => {
            let id = r.varint32("id")?;
            let hash = Some(r.array()?);
            result(id, Outcome::Resumed { hash })
        }
        RESUME => Note::Resume {
            id: r.varint32("id")?,
            chunk_log2: read_log2(r)?,
            chunks: r.varint()?,
        },
        HAVE => read_have(r)?,
        RESULT_FAILED => {
            let id = r.varint32("id")?;
            result(
                id,
                Outcome::Failed {
                    code: r.string(MAX_TEXT, "code")?,
                    text: r.string(MAX_TEXT, "text")?,
                },
            )
        }
        PROGRESS => Note::Progress { bytes: r.varint()? },
        BAD => Note::Bad {
            id: r.varint32("id")?,
            offset: r.varint()?,
        },
        DONE => Note::Done {
            bytes: r.varint()?,
            redone: r.varint()?,
        },
        ABORT => Note::Abort {
            code: r.string(MAX_TEXT, "code")?,
            text: r.string(MAX_TEXT, "text")?,
        },
        _ => return Err(DecodeError::Unknown("note")),
    })
}

fn read_have<'a>(r: &mut Reader<'a>) -> Result<Note<'a>, DecodeError> {
    let (id, chunk_log2, first) = (r.varint32("id")?, read_log2(r)?, r.varint()?);
    let count = usize::try_from(r.varint()?).unwrap_or(usize::MAX);
    if count == 0 || count > MAX_HAVE {
        return Err(DecodeError::Bounds("chaining values"));
    }
    // Whole values: as many as were asked for, and nothing left over.
    let (values, _) = r.bytes(count * 32)?.as_chunks();
    Ok(Note::Have {
        id,
        chunk_log2,
        first,
        values,
    })
}

fn read_accept(bits: u8) -> Note<'static> {
    Note::Accept {
        push: bits & 1 != 0,
        dense: bits & 2 != 0,
    }
}

impl Note<'_> {
    /// Appends the note.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Note::Accept { push, dense } => {
                out.extend_from_slice(&[ACCEPT, u8::from(*push) | u8::from(*dense) << 1]);
            }
            Note::Want { id } => put_id(out, WANT, *id),
            Note::Resume {
                id,
                chunk_log2,
                chunks,
            } => {
                put_id(out, RESUME, *id);
                out.push(*chunk_log2);
                put_varint(out, *chunks);
            }
            Note::Have {
                id,
                chunk_log2,
                first,
                values,
            } => {
                put_id(out, HAVE, *id);
                out.push(*chunk_log2);
                put_varint(out, *first);
                put_varint(out, values.len() as u64);
                out.extend_from_slice(values.as_flattened());
            }
            Note::Result { id, outcome } => put_outcome(out, *id, outcome),
            Note::Progress { bytes } => {
                out.push(PROGRESS);
                put_varint(out, *bytes);
            }
            Note::Bad { id, offset } => {
                put_id(out, BAD, *id);
                put_varint(out, *offset);
            }
            Note::Done { bytes, redone } => {
                out.push(DONE);
                put_varint(out, *bytes);
                put_varint(out, *redone);
            }
            Note::Abort { code, text } => {
                out.push(ABORT);
                put_string(out, code);
                put_string(out, &text[..text.len().min(MAX_TEXT)]);
            }
        }
    }
}

fn put_outcome(out: &mut Vec<u8>, id: u32, outcome: &Outcome<'_>) {
    match outcome {
        Outcome::Done { hash } => {
            put_id(out, RESULT_DONE, id);
            out.extend_from_slice(hash);
        }
        Outcome::Placed => put_id(out, RESULT_PLACED, id),
        Outcome::Skipped => put_id(out, RESULT_SKIPPED, id),
        Outcome::Resumed { hash: None } => put_id(out, RESULT_RESUMED, id),
        Outcome::Resumed { hash: Some(hash) } => {
            put_id(out, RESULT_RESUMED_AS, id);
            out.extend_from_slice(hash);
        }
        Outcome::Failed { code, text } => {
            put_id(out, RESULT_FAILED, id);
            put_string(out, code);
            put_string(out, &text[..text.len().min(MAX_TEXT)]);
        }
    }
}

fn put_id(out: &mut Vec<u8>, tag: u8, id: u32) {
    out.push(tag);
    put_varint(out, u64::from(id));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let all = vec![
            Note::Accept {
                push: true,
                dense: false,
            },
            Note::Accept {
                push: false,
                dense: true,
            },
            Note::Want { id: 1 << 30 },
            Note::Result {
                id: 1,
                outcome: Outcome::Done { hash: [4; 32] },
            },
            Note::Result {
                id: 2,
                outcome: Outcome::Placed,
            },
            Note::Result {
                id: 3,
                outcome: Outcome::Skipped,
            },
            Note::Result {
                id: 4,
                outcome: Outcome::Failed {
                    code: b"no_space",
                    text: b"disk full",
                },
            },
            Note::Progress { bytes: 1 << 50 },
            Note::Bad {
                id: 9,
                offset: 1 << 20,
            },
            Note::Done {
                bytes: 5,
                redone: 2,
            },
            Note::Result {
                id: 5,
                outcome: Outcome::Resumed { hash: None },
            },
            Note::Result {
                id: 7,
                outcome: Outcome::Resumed {
                    hash: Some([7; 32]),
                },
            },
            Note::Resume {
                id: 6,
                chunk_log2: 17,
                chunks: 1 << 33,
            },
            Note::Have {
                id: 6,
                chunk_log2: 17,
                first: 1 << 32,
                values: &[[1; 32], [2; 32]],
            },
            Note::Abort {
                code: b"aborted",
                text: b"interrupted",
            },
        ];
        let mut bytes = Vec::new();
        all.iter().for_each(|n| n.encode(&mut bytes));
        let back: Result<Vec<_>, _> = Notes::new(&bytes).collect();
        assert_eq!(back.unwrap(), all);
    }

    #[test]
    fn chaining_values_are_bounded() {
        let have = |count: &[u8]| [&[HAVE, 1, 16, 0], count].concat();
        let read = |bytes: &[u8]| Notes::new(bytes).next().map(|n| n.is_ok());
        assert_eq!(read(&have(&[0])), Some(false));
        assert_eq!(read(&have(&[0x50, 0x01])), Some(false));
        assert_eq!(read(&have(&[1, 0, 0])), Some(false));
        assert_eq!(read(&[RESUME, 1, 15, 0]), Some(false));
        assert_eq!(read(&[have(&[1]), vec![7; 32]].concat()), Some(true));
    }
}
