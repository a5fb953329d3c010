//! Sources without descriptors: a carrier reads them, by [`Pump`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::large::ReadError;
use super::small::Read1;
use super::{Entry, INLINE_MAX, Numbered, SendJob, Sent};
use crate::buffer::Buffer;
use crate::error::Code;
use crate::fs::{Kind, Meta};
use crate::job::add;
use crate::pump::{Answer, Ask, Memory, Pump, PumpError, Reply, Subject, Waiting};

/// Readers only wait for answers, so there are as many as chunks may be asked for at once: four requests for 32 MiB each.
pub(super) const READERS: usize = 128;

/// A large file that a carrier has opened.
pub(super) struct PumpedFile {
    pub pump: Arc<Pump>,
    pub id: u32,
    /// Chunks that may be read at once, counted from the lowest.
    pub spread: u64,
}

/// So far ahead of a connection that falls behind the others may go on (docs/design/0015): half of the session's memory, so that the lowest chunk finds a
/// buffer here and, at a receiver that writes in order, credit (`recv/stream.rs`).
fn spread(memory: u64, chunk_bytes: u64) -> u64 {
    (memory / 2 / chunk_bytes).max(1)
}

impl PumpedFile {
    /// Fills the first `len` bytes of the buffer.
    pub fn read(
        &self,
        offset: u64,
        (buffer, len): (Buffer, usize),
        stop: &dyn Fn() -> bool,
    ) -> Result<Buffer, ReadError> {
        let ask = Ask::Read {
            id: self.id,
            offset,
        };
        match self.pump.call(ask, Memory::Buffer(buffer, len), stop) {
            (Memory::Buffer(buffer, _), Ok(_)) => Ok(buffer),
            (_, Err(e)) => Err(e.into()),
            (_, Ok(_)) => Err(lost()),
        }
    }

    pub fn unchanged(&self, stop: &dyn Fn() -> bool) -> Result<(), ReadError> {
        let ask = Ask::Finish { id: self.id };
        self.pump.call(ask, Memory::None, stop).1?;
        Ok(())
    }
}

impl Drop for PumpedFile {
    fn drop(&mut self) {
        self.pump.tell(Ask::Close { id: self.id });
    }
}

impl From<PumpError> for ReadError {
    fn from(e: PumpError) -> ReadError {
        let code = match e.code {
            Code::NotFound => Code::SourceVanished,
            code => code,
        };
        ReadError(code, e.message)
    }
}

fn failed(ReadError(code, text): ReadError) -> Read1 {
    Read1::Failed(code, text)
}

fn lost() -> ReadError {
    ReadError(Code::Internal, "an answer without its memory".into())
}

impl SendJob {
    /// Opens a large file.
    pub(super) fn open_pumped(
        &self,
        pump: &Arc<Pump>,
        n: &Numbered,
    ) -> Result<(PumpedFile, Meta), ReadError> {
        let ask = Ask::Open(subject(n.id, &n.entry));
        let (_, answer) = pump.call(ask, Memory::None, &|| self.stopped());
        let (meta, parallel) = version(answer)?;
        let memory = self.session.upgrade().map_or(0, |session| session.memory());
        let file = PumpedFile {
            pump: Arc::clone(pump),
            id: n.id,
            spread: match parallel {
                true => spread(memory, u64::from(self.options.chunk_bytes)),
                false => 1,
            },
        };
        Ok((file, meta))
    }

    /// Asks for all files of a bundle at once: each is a round trip.
    pub(super) fn read_ahead(&self, entries: &[Numbered]) -> VecDeque<Waiting> {
        let Some(pump) = &self.pump else {
            return VecDeque::new();
        };
        let files = entries.iter().filter(|n| n.entry.kind == Kind::File);
        let ask = |n: &Numbered| {
            let size = n.entry.size.min(INLINE_MAX) as usize;
            pump.begin(
                Ask::Whole(subject(n.id, &n.entry)),
                Memory::Bytes(vec![0; size]),
            )
        };
        files.map(ask).collect()
    }

    /// A small file that was asked for. Of one that has another size than was asked for only that is told.
    pub(super) fn await_whole(&self, asked: Waiting, scratch: &mut Vec<u8>) -> Read1 {
        let (memory, answer) = asked.wait(&|| self.stopped());
        match (memory, version(answer)) {
            (_, Err(e)) => failed(e),
            (Memory::Bytes(bytes), Ok((meta, _))) if bytes.len() as u64 == meta.size => {
                *scratch = bytes;
                Read1::Whole(meta)
            }
            (Memory::Bytes(_), Ok((meta, _))) => Read1::Grown(meta),
            (_, Ok(_)) => failed(lost()),
        }
    }

    /// It is durable at the receiver: the carrier removes it, if it still is what was sent. The entry is settled when that is answered.
    pub(super) fn remove_pumped(&self, pump: &Pump, sent: Sent) {
        let subject = Subject {
            id: u32::MAX,
            path: sent.source.clone(),
            kind: sent.kind,
            size: sent.size,
            mtime_ns: sent.mtime_ns,
            mode: 0,
            version: sent.inode.map_or(sent.listed, |(_, version)| version),
        };
        let job = self.me.clone();
        let then = move |_, answer: Answer| {
            let Some(job) = job.upgrade() else { return };
            match answer {
                Ok(_) => add(&job.status.counters.removed_sources, 1),
                Err(e) if e.code == Code::SourceChanged => {
                    let text = "changed after it was copied; the source is kept";
                    job.error(&sent, e.code, text);
                }
                Err(e) => {
                    let text = format!("copied, but the source could not be removed: {e}");
                    job.error(&sent, e.code, &text);
                }
            }
            job.dealt_with();
        };
        pump.ask(Ask::Remove(subject), Memory::None, Box::new(then));
    }
}

fn subject(id: u32, e: &Entry) -> Subject {
    Subject {
        id,
        path: e.source.clone(),
        kind: e.kind,
        size: e.size,
        mtime_ns: e.mtime_ns,
        mode: e.mode,
        version: e.inode,
    }
}

/// What was opened, as if a descriptor had told it: the version stands for the inode.
fn version(answer: Answer) -> Result<(Meta, bool), ReadError> {
    let Reply::Version {
        size,
        mtime_ns,
        version,
        parallel,
    } = answer?
    else {
        return Err(ReadError(
            Code::Internal,
            "an answer without a version".into(),
        ));
    };
    let meta = Meta {
        kind: Kind::File,
        size,
        mtime_ns,
        ctime_ns: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        inode: version,
        birth_ns: 0,
        device: 0,
        nlink: 1,
        blocks: size.div_ceil(512),
        link_target: None,
    };
    Ok((meta, parallel))
}
