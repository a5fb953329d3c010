//! A connection on which nothing comes but content: FTP's for data, in clear. It is asked for elsewhere, on the control connection.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::connection::connect;
use super::pool::{Cancel, broken_by};
use super::{Broken, Options, Outcome, Take};
use crate::pump::Memory;

/// Where to connect, and what to do with what comes.
pub struct Intake {
    /// An address, an IPv6 one without brackets.
    pub host: String,
    pub port: u16,
    /// One after the other. The connection ends when nobody can want any more.
    pub wants: Receiver<Want>,
}

/// What became of a [`Want`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// All of it.
    Filled,
    /// The other side closed before.
    Ended,
    /// All of it, and then something, where nothing was to come.
    More,
    Broken(Broken),
}

/// Hears what became of it, with the memory back that was not taken.
type Then = Box<dyn FnOnce(Came, VecDeque<Memory>) + Send>;

/// Memory for what comes next.
pub struct Want {
    memory: VecDeque<Memory>,
    is_last: bool,
    take: Take,
    then: Option<Then>,
}

impl Want {
    /// Memory is taken as it is filled. With `is_last` the other side has to close behind it, and the last memory is not taken but comes back filled.
    pub fn new(
        memory: VecDeque<Memory>,
        is_last: bool,
        take: Take,
        then: impl FnOnce(Came, VecDeque<Memory>) + Send + 'static,
    ) -> Want {
        Want {
            memory,
            is_last,
            take,
            then: Some(Box::new(then)),
        }
    }

    fn fill(&mut self, socket: &TcpStream) -> io::Result<Came> {
        let kept = usize::from(self.is_last);
        while let Some(memory) = self.memory.front_mut() {
            if !read(socket, memory.bytes_mut())? {
                return Ok(Came::Ended);
            }
            if self.memory.len() == kept {
                break;
            }
            self.memory.pop_front().into_iter().for_each(&mut self.take);
        }
        if self.is_last && read(socket, &mut [0])? {
            return Ok(Came::More);
        }
        Ok(Came::Filled)
    }

    fn end(&mut self, came: Came) {
        if let Some(then) = self.then.take() {
            then(came, std::mem::take(&mut self.memory));
        }
    }
}

/// One that nobody fills is heard of, too.
impl Drop for Want {
    fn drop(&mut self) {
        self.end(Came::Broken(Broken::Cancelled));
    }
}

impl Intake {
    /// Until nobody wants any more; `connected` hears of the connection. After what is not [`Came::Filled`], and after the last, the
    /// socket is closed before anybody hears of it, and whoever still wants something hears the same.
    pub(super) fn serve(
        self,
        options: &Options,
        cancel: &Cancel,
        connected: impl FnOnce(),
    ) -> Outcome {
        let opened = connect(&self.host, self.port, options.connect).and_then(|socket| {
            socket.set_read_timeout(Some(options.body))?;
            Ok(Arc::new(socket))
        });
        let socket = match opened {
            Ok(socket) => socket,
            Err(e) => {
                return cancel.ended(match broken_by(&e) {
                    late @ Broken::TimedOut => Outcome::Broken(late),
                    _ => Outcome::Unsuited(e.to_string()),
                });
            }
        };
        cancel.watch(&socket);
        if cancel.is_cancelled() {
            return cancel.ended(Outcome::Broken(Broken::Cancelled));
        }
        connected();
        let mut open = Some(socket);
        let mut over = Came::Ended;
        for mut want in &self.wants {
            let came = open.as_deref().map_or(over, |socket| {
                let came = want.fill(socket);
                came.unwrap_or_else(|e| Came::Broken(broken_by(&e)))
            });
            let came = match came {
                Came::Ended | Came::Broken(_) if cancel.is_cancelled() => {
                    Came::Broken(Broken::Cancelled)
                }
                came => came,
            };
            if came != Came::Filled {
                over = came;
            }
            if came != Came::Filled || want.is_last {
                cancel.unwatch();
                open = None;
            }
            want.end(came);
        }
        cancel.ended(Outcome::Filled)
    }
}

/// Fills all of it; false: nothing comes any more.
fn read(mut socket: &TcpStream, into: &mut [u8]) -> io::Result<bool> {
    let mut at = 0;
    while at < into.len() {
        match socket.read(&mut into[at..]) {
            Ok(0) => return Ok(false),
            Ok(got) => at += got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}
