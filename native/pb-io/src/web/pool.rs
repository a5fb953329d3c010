//! Connections that are used again, and one fetch over one of them.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::connection::{Connection, NoHead};
use super::head::{Framing, MAX_TEXT, Parsed, request};
use super::{Broken, Fetch, Options, Origin, Outcome, Trust};

/// Servers close what has been idle for 5 s and more (Node's own 5, Apache 5, nginx 75): before that it is not used again.
pub(super) const MAX_IDLE: Duration = Duration::from_secs(4);

/// Ends a fetch that nobody waits for any more.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Cancelling>);

#[derive(Default)]
struct Cancelling {
    cancelled: AtomicBool,
    socket: Mutex<Option<Arc<TcpStream>>>,
}

impl Cancel {
    /// What is read now ends; after the end of the fetch, nothing happens.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        if let Some(socket) = self.0.socket.lock().take() {
            // It may be gone by itself: then nobody reads from it either.
            _ = socket.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    pub(super) fn watch(&self, socket: &Arc<TcpStream>) {
        *self.0.socket.lock() = Some(Arc::clone(socket));
    }

    /// From here on the connection is somebody else's.
    pub(super) fn unwatch(&self) {
        self.0.socket.lock().take();
    }

    /// What it has come to.
    pub(super) fn ended(&self, outcome: Outcome) -> Outcome {
        self.unwatch();
        match outcome {
            Outcome::Unsuited(_) | Outcome::Broken(_) if self.is_cancelled() => {
                Outcome::Broken(Broken::Cancelled)
            }
            outcome => outcome,
        }
    }
}

pub(super) struct Pool {
    pub(super) options: Options,
    trust: Trust,
    idle: Mutex<HashMap<Origin, Vec<Connection>>>,
}

impl Pool {
    pub fn new(options: Options, trust: Trust) -> Pool {
        Pool {
            options,
            trust,
            idle: Mutex::default(),
        }
    }

    /// Connections that wait for something to ask.
    pub fn waiting(&self, origin: &Origin) -> usize {
        self.idle.lock().get(origin).map_or(0, Vec::len)
    }

    /// Opens one.
    pub fn warm(&self, origin: &Origin) {
        if let Ok(connection) = Connection::open(origin, &self.options, &self.trust) {
            self.keep(origin, connection);
        }
    }

    pub fn fetch(&self, fetch: &mut Fetch, cancel: &Cancel) -> Outcome {
        let outcome = self.try_fetch(fetch, cancel);
        cancel.ended(outcome.unwrap_or_else(|outcome| outcome))
    }

    fn try_fetch(&self, fetch: &mut Fetch, cancel: &Cancel) -> Result<Outcome, Outcome> {
        let sent = request(&fetch.asked).map_err(|e| Outcome::Unsuited(e.to_string()))?;
        let ask = |connection: &mut Connection| self.ask(connection, &sent);
        let (connection, parsed) = self.exchange(&fetch.asked.origin, (cancel, true), ask)?;
        Ok(self.content(connection, parsed, fetch, cancel))
    }

    /// Asks over a connection that is idle, or a new one; one that the server closed while it was idle is no failure where it can be asked again.
    pub(super) fn exchange<T>(
        &self,
        origin: &Origin,
        (cancel, can_repeat): (&Cancel, bool),
        mut ask: impl FnMut(&mut Connection) -> Result<T, NoHead>,
    ) -> Result<(Connection, T), Outcome> {
        while !cancel.is_cancelled() {
            let idle = can_repeat.then(|| self.idle(origin)).flatten();
            let used = idle.is_some();
            let opened = match idle {
                Some(connection) => Ok(connection),
                None => Connection::open(origin, &self.options, &self.trust),
            };
            let mut connection = opened.map_err(Outcome::Unsuited)?;
            cancel.watch(&connection.socket);
            if cancel.is_cancelled() {
                break;
            }
            match ask(&mut connection) {
                // The server closed it while it was idle (RFC 9112 section 9.3.1): the next one, or a new one.
                Err(NoHead::Nothing(e)) if used && !is_late(&e) => {}
                Err(NoHead::Nothing(e) | NoHead::Broken(e)) => return Err(broken(&e)),
                Err(NoHead::Malformed(e)) => return Err(Outcome::Unsuited(e.to_string())),
                Ok(answer) => return Ok((connection, answer)),
            }
        }
        Err(Outcome::Broken(Broken::Cancelled))
    }

    fn ask(&self, connection: &mut Connection, sent: &[u8]) -> Result<Parsed, NoHead> {
        connection
            .patience(self.options.head)
            .map_err(NoHead::Nothing)?;
        connection.send(sent).map_err(NoHead::Nothing)?;
        connection.head()
    }

    fn content(
        &self,
        mut connection: Connection,
        parsed: Parsed,
        fetch: &mut Fetch,
        cancel: &Cancel,
    ) -> Outcome {
        let wanted = fetch.memory.wanted();
        let into_memory = parsed.head.status == fetch.status;
        let mut keeps = match into_memory {
            true => parsed.keep,
            false => parsed.keeps_after_text(),
        };
        let Parsed { head, framing, .. } = parsed;
        let read = match framing {
            Framing::Length(length) if into_memory && length == wanted => {
                let judge = std::mem::replace(&mut fetch.judge, Box::new(|_| false));
                if !judge(&head) {
                    return Outcome::Rejected;
                }
                let filled = self.fill(&mut connection, fetch);
                // What somebody else fetches is still to come here.
                keeps &= matches!(filled, Ok(length) if length == wanted);
                filled.map(|_| Outcome::Filled)
            }
            _ if into_memory => return Outcome::Unsuited("the answer has another length".into()),
            framing => self
                .text(&mut connection, framing)
                .map(|text| Outcome::Refused(head, text)),
        };
        cancel.unwatch();
        if read.is_ok() && keeps && !cancel.is_cancelled() {
            self.keep(&fetch.asked.origin, connection);
        }
        read.unwrap_or_else(|e| broken(&e))
    }

    pub(super) fn text(
        &self,
        connection: &mut Connection,
        framing: Framing,
    ) -> io::Result<Vec<u8>> {
        connection.patience(self.options.body)?;
        match framing {
            Framing::Length(length) if length <= MAX_TEXT => {
                let mut text = vec![0; length as usize];
                connection.read(&mut text)?;
                Ok(text)
            }
            // A file, where a word was expected.
            Framing::Length(_) => Ok(Vec::new()),
            Framing::Chunked => connection.chunked(MAX_TEXT as usize),
            Framing::Close => connection.rest(MAX_TEXT as usize),
        }
    }

    /// How much of the content it was, in the end.
    fn fill(&self, connection: &mut Connection, fetch: &mut Fetch) -> io::Result<u64> {
        connection.patience(self.options.body)?;
        let mut filled = 0;
        while let Some(mut memory) = fetch.memory.next() {
            if let Err(e) = connection.read(memory.bytes_mut()) {
                fetch.memory.put_back(memory);
                return Err(e);
            }
            filled += memory.bytes_mut().len() as u64;
            (fetch.take)(memory);
        }
        Ok(filled)
    }

    /// The one that was used last: the others may go.
    fn idle(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle.lock();
        let connections = idle.get_mut(origin)?;
        connections.retain(|connection| connection.since.elapsed() < MAX_IDLE);
        while let Some(connection) = connections.pop() {
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn keep(&self, origin: &Origin, mut connection: Connection) {
        connection.since = std::time::Instant::now();
        let mut idle = self.idle.lock();
        let connections = idle.entry(origin.clone()).or_default();
        if connections.len() < self.options.idle {
            connections.push(connection);
        }
    }
}

fn is_late(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

pub(super) fn broken(e: &io::Error) -> Outcome {
    Outcome::Broken(broken_by(e))
}

pub(super) fn broken_by(e: &io::Error) -> Broken {
    if is_late(e) {
        Broken::TimedOut
    } else {
        Broken::Lost
    }
}
