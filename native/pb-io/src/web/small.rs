//! Small questions and answers, many at once: one thread asks over as many connections as there are questions and waits for all of them together, so that a file of a few kilobytes
//! costs no thread that sleeps and wakes. In clear alone, and only what may be asked twice: where no answer comes that can be taken here, the carrier asks again in its own way.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};

use super::connection::peek;
use super::head::{Framing, MAX_TEXT, parse, request};
use super::pool::MAX_IDLE;
use super::{Asked, Head, Options, Origin};
use crate::pump::Memory;

/// A head comes in one piece, nearly always, with what follows it.
const PIECE: usize = 64 * 1024;
/// Longer ones are for somebody else.
const MAX_HEAD: usize = 64 * 1024;
/// Without questions the thread ends after this.
const IDLE: Duration = Duration::from_secs(2);

/// Hears what the server says, and has the memory back; without an answer it is to be asked in another way.
pub(super) type Then = Box<dyn FnOnce(Option<Answer>, Memory) + Send>;

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub head: Head,
    /// What is in the memory is what was asked for.
    pub is_content: bool,
    /// What else came.
    pub text: Vec<u8>,
}

/// What may be asked twice, and is small.
pub(super) struct Small {
    pub asked: Asked,
    pub body: Vec<u8>,
    /// The content of a 200, which has to be as long; otherwise nothing.
    pub memory: Memory,
    pub then: Then,
}

/// Questions go to one thread, which is there while there are some.
pub(super) struct Smalls(Arc<Shared>);

struct Shared {
    options: Options,
    /// Woken where the thread may sleep.
    bell: Option<OwnedFd>,
    inbox: Mutex<Inbox>,
}

#[derive(Default)]
struct Inbox {
    questions: Vec<Small>,
    /// There is a thread, and it will look here again.
    attended: bool,
    /// It has to be woken for that.
    asleep: bool,
    closed: bool,
}

impl Smalls {
    pub fn new(options: Options) -> Smalls {
        Smalls(Arc::new(Shared {
            options,
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok(),
            inbox: Mutex::default(),
        }))
    }

    pub fn ask(&self, small: Small) {
        let shared = &self.0;
        let mut inbox = shared.inbox.lock();
        if inbox.closed || shared.bell.is_none() || small.asked.origin.tls {
            drop(inbox);
            return (small.then)(None, small.memory);
        }
        inbox.questions.push(small);
        if inbox.attended {
            let asleep = std::mem::take(&mut inbox.asleep);
            drop(inbox);
            if asleep {
                shared.ring();
            }
            return;
        }
        inbox.attended = true;
        drop(inbox);
        let serving = Arc::clone(shared);
        let made = std::thread::Builder::new()
            .name("pb-web-small".into())
            .spawn(move || Wheel::new(&serving).turn());
        if made.is_err() {
            shared.leave();
        }
    }
}

impl Drop for Smalls {
    fn drop(&mut self) {
        self.0.inbox.lock().closed = true;
        self.0.ring();
    }
}

impl Shared {
    fn ring(&self) {
        if let Some(bell) = &self.bell {
            _ = rustix::io::write(bell, &1u64.to_ne_bytes());
        }
    }

    /// Nobody attends any more: what waits is for somebody else.
    fn leave(&self) {
        let left = {
            let mut inbox = self.inbox.lock();
            inbox.attended = false;
            std::mem::take(&mut inbox.questions)
        };
        left.into_iter().for_each(Small::give_up);
    }
}

impl Small {
    fn give_up(self) {
        (self.then)(None, self.memory);
    }
}

/// Where a question is.
enum At {
    Connecting,
    /// So much of the request is sent.
    Sending(usize),
    Head,
    Content(Content),
}

/// What comes behind a head.
struct Content {
    answer: Answer,
    /// The connection may be used again.
    keeps: bool,
    /// So much of it is there.
    done: usize,
}

/// A question and the connection that it is asked over.
struct Exchange {
    small: Small,
    sent: Vec<u8>,
    line: Line,
    at: At,
    /// The server may have closed it while nobody asked.
    was_idle: bool,
    until: Instant,
    /// The socket has something to say, or was not asked yet.
    is_ready: bool,
}

struct Line {
    socket: TcpStream,
    /// What has come of a head.
    early: Vec<u8>,
}

impl Line {
    /// The server has neither closed it nor said anything since its last answer.
    fn is_quiet(&self) -> bool {
        peek(&self.socket) == Err(Errno::AGAIN)
    }
}

struct Wheel<'a> {
    shared: &'a Shared,
    under_way: Vec<Exchange>,
    idle: Vec<(Origin, Line, Instant)>,
    /// What names lead to; as long as the thread lives.
    addresses: Vec<(Origin, Option<SocketAddr>)>,
    piece: Vec<u8>,
}

/// What an exchange has come to.
enum Turn {
    /// It waits for the socket.
    Waits,
    Done,
    /// Not in this way.
    Failed,
    /// Not a byte came over a connection that had been idle.
    Stale,
}

impl<'a> Wheel<'a> {
    fn new(shared: &'a Shared) -> Wheel<'a> {
        Wheel {
            shared,
            under_way: Vec::new(),
            idle: Vec::new(),
            addresses: Vec::new(),
            piece: vec![0; PIECE],
        }
    }

    fn turn(mut self) {
        let mut idle_since = Instant::now();
        loop {
            let (questions, closed) = {
                let mut inbox = self.shared.inbox.lock();
                inbox.asleep = false;
                let questions = std::mem::take(&mut inbox.questions);
                let unused = self.under_way.is_empty() && questions.is_empty();
                if inbox.closed || (unused && idle_since.elapsed() > IDLE) {
                    inbox.attended = false;
                }
                if questions.is_empty() {
                    inbox.asleep = true;
                }
                if !inbox.attended && !inbox.closed {
                    return;
                }
                (questions, inbox.closed)
            };
            if closed {
                return questions.into_iter().for_each(Small::give_up);
            }
            if !questions.is_empty() {
                idle_since = Instant::now();
            }
            let has_new = !questions.is_empty();
            questions.into_iter().for_each(|small| self.begin(small));
            // After new questions there may be more already.
            self.wait(has_new);
            self.advance();
            if !self.under_way.is_empty() {
                idle_since = Instant::now();
            }
        }
    }

    fn begin(&mut self, small: Small) {
        let Ok(mut sent) = request(&small.asked) else {
            return small.give_up();
        };
        sent.extend_from_slice(&small.body);
        let line = self.waiting(&small.asked.origin);
        let was_idle = line.is_some();
        let (line, at) = match line {
            Some(line) => (line, At::Sending(0)),
            None => match self.open(&small.asked.origin) {
                Some(line) => (line, At::Connecting),
                None => return small.give_up(),
            },
        };
        let until = Instant::now() + self.shared.options.connect;
        self.under_way.push(Exchange {
            small,
            sent,
            line,
            at,
            was_idle,
            until,
            is_ready: true,
        });
    }

    /// A connection that is there already, the one that was used last.
    fn waiting(&mut self, origin: &Origin) -> Option<Line> {
        self.idle.retain(|(_, _, since)| since.elapsed() < MAX_IDLE);
        loop {
            let at = self.idle.iter().rposition(|(of, ..)| of == origin)?;
            let (_, line, _) = self.idle.remove(at);
            if line.is_quiet() {
                return Some(line);
            }
        }
    }

    fn open(&mut self, origin: &Origin) -> Option<Line> {
        let address = match self.addresses.iter().find(|(of, _)| of == origin) {
            Some((_, address)) => *address,
            None => {
                let found = (origin.host.as_str(), origin.port).to_socket_addrs();
                let address = found.ok().and_then(|mut all| all.next());
                self.addresses.push((origin.clone(), address));
                address
            }
        }?;
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)).ok()?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(_) => return None,
        }
        let socket = TcpStream::from(socket);
        socket.set_nodelay(true).ok()?;
        Some(Line {
            socket,
            early: Vec::new(),
        })
    }

    /// Until something can go on, or is too late, or somebody rings; or just to look.
    fn wait(&mut self, just_looks: bool) {
        let now = Instant::now();
        let latest = self.under_way.iter().map(|x| x.until).min();
        let patience = match just_looks {
            true => Duration::ZERO,
            false => latest.map_or(IDLE, |until| until.saturating_duration_since(now)),
        };
        let mut fds: Vec<PollFd<'_>> = self
            .under_way
            .iter()
            .map(|x| {
                let flags = match x.at {
                    At::Connecting | At::Sending(_) => PollFlags::OUT,
                    At::Head | At::Content(..) => PollFlags::IN,
                };
                PollFd::new(&x.line.socket, flags)
            })
            .collect();
        if let Some(bell) = &self.shared.bell {
            fds.push(PollFd::new(bell, PollFlags::IN));
        }
        let timeout = Timespec {
            tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        // Where it fails, each is tried.
        let failed = poll(&mut fds, Some(&timeout)).is_err();
        let ready: Vec<bool> = fds
            .iter()
            .map(|fd| failed || !fd.revents().is_empty())
            .collect();
        drop(fds);
        for (exchange, ready) in self.under_way.iter_mut().zip(ready) {
            exchange.is_ready = ready;
        }
        if let Some(bell) = &self.shared.bell {
            _ = rustix::io::read(bell, &mut [0u8; 8]);
        }
    }

    /// Each as far as it goes.
    fn advance(&mut self) {
        let now = Instant::now();
        let mut at = 0;
        while let Some(exchange) = self.under_way.get_mut(at) {
            let turn = match std::mem::take(&mut exchange.is_ready) {
                true => exchange.go_on(&mut self.piece, &self.shared.options),
                false => Turn::Waits,
            };
            let turn = match turn {
                Turn::Waits if exchange.until <= now => Turn::Failed,
                turn => turn,
            };
            if matches!(turn, Turn::Waits) {
                at += 1;
                continue;
            }
            let exchange = self.under_way.swap_remove(at);
            let Exchange { small, line, .. } = exchange;
            match (turn, exchange.at) {
                (Turn::Done, At::Content(Content { answer, keeps, .. })) => {
                    if keeps && self.idle.len() < self.shared.options.idle {
                        let origin = small.asked.origin.clone();
                        self.idle.push((origin, line, Instant::now()));
                    }
                    (small.then)(Some(answer), small.memory);
                }
                // The next that waits, or a new one.
                (Turn::Stale, _) => {
                    drop(line);
                    self.begin(small);
                }
                _ => {
                    drop(line);
                    small.give_up();
                }
            }
        }
    }
}

/// Nobody waits for ever, whatever went wrong here.
impl Drop for Wheel<'_> {
    fn drop(&mut self) {
        for exchange in self.under_way.drain(..) {
            exchange.small.give_up();
        }
        if std::thread::panicking() {
            self.shared.leave();
        }
    }
}

fn later(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::NotConnected
    )
}

impl Exchange {
    fn go_on(&mut self, piece: &mut [u8], options: &Options) -> Turn {
        if matches!(self.at, At::Connecting) {
            match self.line.socket.take_error() {
                Ok(None) => self.at = At::Sending(0),
                _ => return Turn::Failed,
            }
        }
        if let At::Sending(done) = &mut self.at {
            match (&self.line.socket).write(&self.sent[*done..]) {
                Ok(sent) => {
                    *done += sent;
                    self.until = Instant::now() + options.body;
                }
                Err(e) if later(&e) => return Turn::Waits,
                Err(_) if self.was_idle => return Turn::Stale,
                Err(_) => return Turn::Failed,
            }
            if *done < self.sent.len() {
                return Turn::Waits;
            }
            self.at = At::Head;
            self.until = Instant::now() + options.head;
            return Turn::Waits;
        }
        loop {
            let got = match &mut self.at {
                At::Content(content) => match content.left(&mut self.small.memory) {
                    [] => return Turn::Done,
                    into => (&self.line.socket).read(into),
                },
                _ => (&self.line.socket).read(piece),
            };
            match got {
                Ok(0) => return self.ended(),
                Ok(got) => {
                    if let At::Content(content) = &mut self.at {
                        content.done += got;
                        self.until = Instant::now() + options.body;
                    } else if !self.heard(&piece[..got]) {
                        return Turn::Failed;
                    }
                }
                Err(e) if later(&e) => return Turn::Waits,
                Err(_) => return self.ended(),
            }
        }
    }

    /// The server closed, or broke off.
    fn ended(&self) -> Turn {
        let nothing = matches!(self.at, At::Head) && self.line.early.is_empty();
        if nothing && self.was_idle {
            Turn::Stale
        } else {
            Turn::Failed
        }
    }

    /// Of a head, or with the content's beginning. False: it is not what is wanted.
    fn heard(&mut self, bytes: &[u8]) -> bool {
        self.line.early.extend_from_slice(bytes);
        let parsed = match parse(&self.line.early) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return self.line.early.len() < MAX_HEAD,
            Err(_) => return false,
        };
        let came = &self.line.early[parsed.len..];
        let wanted = self.small.memory.bytes().len() as u64;
        let is_content = parsed.head.status == 200 && !matches!(self.small.memory, Memory::None);
        let len = match parsed.framing {
            _ if self.small.asked.method == "HEAD" => 0,
            Framing::Length(len) if !is_content && len <= MAX_TEXT => len as usize,
            Framing::Length(len) if is_content && len == wanted => 0,
            _ => return false,
        };
        let mut content = Content {
            answer: Answer {
                head: parsed.head,
                is_content,
                text: vec![0; len],
            },
            keeps: parsed.keep,
            done: 0,
        };
        let Some(into) = content.left(&mut self.small.memory).get_mut(..came.len()) else {
            return false;
        };
        into.copy_from_slice(came);
        content.done = came.len();
        self.at = At::Content(content);
        self.line.early.clear();
        true
    }
}

impl Content {
    /// Where the rest of it goes.
    fn left<'a>(&'a mut self, memory: &'a mut Memory) -> &'a mut [u8] {
        let into = match self.answer.is_content {
            true => memory.bytes_mut(),
            false => &mut self.answer.text,
        };
        &mut into[self.done..]
    }
}
