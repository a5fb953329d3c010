//! Content of web servers, read from the socket into memory of the engine, and sent from it.
//!
//! What is asked, with which headers, and whether the answer is the right one stays with the carrier (`docs/design/0015-bodies.md`): it composes each
//! request and judges each head. Here is what a byte of a user passes: connections that are used again, TLS, the head's framing
//! (RFC 9112), and the content, read straight into place. HTTP/1.1 alone, and a success only with a length that is told beforehand:
//! whatever else a server answers, [`Outcome::Unsuited`] says that the carrier has to ask in another way.
//!
//! The data connections of FTP are read by the same threads: [`Intake`].

mod connection;
mod head;
mod intake;
mod lot;
mod pool;
mod sending;
mod small;
mod sums;
#[cfg(test)]
mod tests;
mod tls;
mod upload;
mod workers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use head::Head;
pub use intake::{Came, Intake, Want};
pub use lot::Lot;
pub use pool::Cancel;
pub use small::Answer;
pub use sums::{Sums, sums};
pub use tls::Trust;
pub use upload::{Body, Piece, Upload};

use crate::pump::Memory;
use pool::Pool;
use small::{Small, Smalls};
use workers::Workers;

/// How patient a [`Client`] is, and how many connections it keeps.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of one address.
    pub connect: Duration,
    /// Until the head of an answer is there.
    pub head: Duration,
    /// Between two pieces of an answer.
    pub body: Duration,
    /// Connections to one server that wait for more work.
    pub idle: usize,
}

/// Where to ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    pub tls: bool,
    /// A name or an address, an IPv6 one without brackets.
    pub host: String,
    pub port: u16,
}

/// Says whether an answer is the one that was asked for, before a byte of its content counts.
pub type Judge = Box<dyn FnOnce(&Head) -> bool + Send>;
/// Is given each memory as soon as it is filled.
pub type Take = Box<dyn FnMut(Memory) + Send>;

/// Whom to ask what.
pub struct Asked {
    pub origin: Origin,
    pub method: String,
    /// Path and query, encoded.
    pub target: String,
    /// All of them but those of the connection; `host` is one.
    pub headers: Vec<(String, String)>,
}

/// A GET, and the memory for what comes.
pub struct Fetch {
    pub asked: Asked,
    /// The status with which the content goes into the memory: 206.
    pub status: u16,
    /// Filled in turn; together they are as long as that content has to be, whatever is taken out of it later.
    pub memory: Lot,
    pub judge: Judge,
    pub take: Take,
}

/// What became of a [`Fetch`], or of an [`Upload`].
pub enum Outcome {
    /// All memory was filled, and taken; or what was left of it.
    Filled,
    /// It is not the answer that was asked for.
    Rejected,
    /// Another status, with what the server says about it: at most 1 MiB, and nothing of more.
    Refused(Head, Vec<u8>),
    /// What the server says about what was sent, or about what it had of that when it knew enough: as much of it as of a refusal.
    Answered(Head, Vec<u8>),
    /// No answer that can be taken here: the server can't be reached, its certificate is not trusted, it gives no length, or another.
    Unsuited(String),
    /// It broke off or stood still in the middle of an answer: the same call may succeed.
    Broken(Broken),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    Lost,
    TimedOut,
    Cancelled,
}

/// Connections to web servers and threads that read from them. Dropped, it lets both go when what is under way has ended.
pub struct Client {
    pool: Arc<Pool>,
    workers: Workers,
    smalls: Smalls,
}

impl Client {
    pub fn new(options: Options, trust: Trust) -> Client {
        Client {
            smalls: Smalls::new(options.clone()),
            pool: Arc::new(Pool::new(options, trust)),
            workers: Workers::new("pb-web"),
        }
    }

    /// Fetches on a thread of its own; `then` hears there what became of it, with the memory back that was not filled.
    pub fn fetch(
        &self,
        mut fetch: Fetch,
        then: impl FnOnce(Outcome, VecDeque<Memory>) + Send + 'static,
    ) -> Cancel {
        let cancel = Cancel::default();
        let pool = Arc::clone(&self.pool);
        let hears = cancel.clone();
        self.workers.run(Box::new(move || {
            let outcome = pool.fetch(&mut fetch, &hears);
            then(outcome, fetch.memory.take_all());
        }));
        cancel
    }

    /// Sends on a thread of its own; `then` hears there what became of it, with the memory of a [`Body::Whole`] back.
    pub fn upload(
        &self,
        mut upload: Upload,
        then: impl FnOnce(Outcome, Vec<Memory>) + Send + 'static,
    ) -> Cancel {
        let cancel = Cancel::default();
        let pool = Arc::clone(&self.pool);
        let hears = cancel.clone();
        self.workers.run(Box::new(move || {
            let outcome = pool.upload(&mut upload, &hears);
            let memory = match upload.body {
                Body::Whole(memory) => memory,
                Body::Stream(pieces) => {
                    pieces.try_iter().for_each(drop);
                    Vec::new()
                }
            };
            then(outcome, memory);
        }));
        cancel
    }

    /// Connects, and fills what is wanted, on a thread of its own; `connected` and `then` hear there of the connection and of its end: [`Outcome::Filled`],
    /// unless there was none.
    pub fn receive(
        &self,
        intake: Intake,
        connected: impl FnOnce() + Send + 'static,
        then: impl FnOnce(Outcome) + Send + 'static,
    ) -> Cancel {
        let cancel = Cancel::default();
        let pool = Arc::clone(&self.pool);
        let hears = cancel.clone();
        self.workers.run(Box::new(move || {
            then(intake.serve(&pool.options, &hears, connected));
        }));
        cancel
    }

    /// Asks what is small and may be asked twice, on one thread for all of that; `then` hears the answer, or that it is to be asked in another way, and has the memory back. The content of a
    /// 200 goes there, if there is any memory, and has to be as long.
    pub fn small(
        &self,
        asked: Asked,
        (body, memory): (Vec<u8>, Memory),
        then: impl FnOnce(Option<Answer>, Memory) + Send + 'static,
    ) {
        self.smalls.ask(Small {
            asked,
            body,
            memory,
            then: Box::new(then),
        });
    }

    /// Opens connections ahead, each on a thread of its own, as far as there are not so many that wait. What fails, fails later.
    pub fn warm(&self, origin: &Origin, connections: usize) {
        for _ in self.pool.waiting(origin)..connections {
            let pool = Arc::clone(&self.pool);
            let origin = origin.clone();
            self.workers.run(Box::new(move || pool.warm(&origin)));
        }
    }

    /// Runs what takes a while on one of the threads.
    pub fn run(&self, work: impl FnOnce() + Send + 'static) {
        self.workers.run(Box::new(work));
    }
}
