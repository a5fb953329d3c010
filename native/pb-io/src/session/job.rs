//! What a session asks of its jobs. The rooms `send` and `recv` have one each; the session knows neither.

use std::sync::Arc;

use pb_proto::message::ChunkTrailer;
use pb_proto::message::DecodeError;
use pb_proto::message::note::Note;

use super::work::Credit;
use crate::buffer::Buffer;
use crate::transport::TransportError;

/// One end of a job. Called by the session's writer threads, several at once.
pub trait Job: Send + Sync {
    /// Does it receive files? Then its session needs the memory for them.
    fn receives(&self) -> bool;
    /// A chunk of one of its files.
    fn chunk(&self, chunk: Chunk);
    /// Items of a bundle. An error is a breach of the protocol and ends the session.
    fn bundle(&self, items: &[u8]) -> Result<(), DecodeError>;
    /// One note of a message.
    fn hear(&self, note: &Note<'_>);
    /// The session is over.
    fn fail(&self, why: &TransportError);
}

/// A job, shared.
pub type AnyJob = Arc<dyn Job>;

/// A chunk as it arrived. Its credit goes back to the peer when it is dropped, after its memory.
pub struct Chunk {
    pub trailer: ChunkTrailer,
    pub(crate) buffer: Buffer,
    /// How many bytes of the buffer are the file's.
    pub(crate) data: usize,
    pub(crate) credit: Option<Credit>,
}

impl Chunk {
    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer.as_slice()[..self.data]
    }
}
