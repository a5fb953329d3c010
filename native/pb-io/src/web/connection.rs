//! One connection to a server: a socket, perhaps with TLS over it, and bytes that came too early.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};
use rustls::{ClientConnection, Stream};

use super::head::{HeadError, Parsed, parse};
use super::tls::Trust;
use super::{Options, Origin};

/// A head comes in one piece, nearly always, and the content's beginning with it.
const PIECE: usize = 16 * 1024;
/// Of a chunk's size, with what extends it.
const MAX_LINE: usize = 1024;
/// What comes before the answer itself (RFC 9110 section 15.2): a server that sends more has nothing to say.
const MAX_INTERIM: usize = 16;

pub(super) struct Connection {
    /// Shared with who shuts it down while another thread reads.
    pub(super) socket: Arc<TcpStream>,
    pub(super) tls: Option<ClientConnection>,
    /// Read with the head, and yet to be taken.
    early: Vec<u8>,
    /// Heads that came before the answer.
    interim: usize,
    pub since: Instant,
}

/// Why no head came.
pub(super) enum NoHead {
    /// Not a byte of it.
    Nothing(io::Error),
    Broken(io::Error),
    Malformed(HeadError),
}

impl Connection {
    pub fn open(origin: &Origin, options: &Options, trust: &Trust) -> Result<Connection, String> {
        let tls = origin
            .tls
            .then(|| trust.connection(&origin.host))
            .transpose()?;
        let socket =
            connect(&origin.host, origin.port, options.connect).map_err(|e| e.to_string())?;
        let mut connection = Connection {
            socket: Arc::new(socket),
            tls,
            early: Vec::new(),
            interim: 0,
            since: Instant::now(),
        };
        connection
            .shake_hands(options.connect)
            .map_err(|e| e.to_string())?;
        Ok(connection)
    }

    fn shake_hands(&mut self, patience: Duration) -> io::Result<()> {
        self.socket.set_nodelay(true)?;
        self.socket.set_write_timeout(Some(patience))?;
        self.patience(patience)?;
        if let Some(tls) = &mut self.tls {
            while tls.is_handshaking() {
                tls.complete_io(&mut &*self.socket)?;
            }
        }
        Ok(())
    }

    pub fn patience(&self, timeout: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(timeout))
    }

    /// The server has not closed it, and nothing has come since the last answer but what TLS may send at any time (session tickets).
    pub fn is_quiet(&self) -> bool {
        let quiet = match peek(&self.socket) {
            Ok(received) => received > 0 && self.tls.is_some(),
            Err(errno) => errno == rustix::io::Errno::AGAIN,
        };
        quiet && self.early.is_empty()
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => (&*self.socket).write_all(bytes),
            Some(tls) => {
                let mut socket = &*self.socket;
                let mut stream = Stream::new(tls, &mut socket);
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// The next head that is an answer; what follows it stays for [`read`](Self::read).
    pub fn head(&mut self) -> Result<Parsed, NoHead> {
        loop {
            if let Some(parsed) = self.answer()? {
                self.early.drain(..parsed.len);
                self.interim = 0;
                return Ok(parsed);
            }
            self.more().map_err(|e| self.no_head(e))?;
        }
    }

    /// Is the head of an answer there?
    pub(super) fn has_answer(&mut self) -> Result<bool, NoHead> {
        Ok(self.answer()?.is_some())
    }

    /// A head that is an answer, if it has come. What comes before it goes.
    fn answer(&mut self) -> Result<Option<Parsed>, NoHead> {
        while let Some(parsed) = parse(&self.early).map_err(NoHead::Malformed)? {
            if parsed.head.status >= 200 {
                return Ok(Some(parsed));
            }
            self.early.drain(..parsed.len);
            self.interim += 1;
            if self.interim > MAX_INTERIM || parsed.head.status == 101 {
                return Err(NoHead::Malformed(HeadError::Malformed));
            }
        }
        Ok(None)
    }

    /// Why none comes any more.
    pub(super) fn no_head(&self, e: io::Error) -> NoHead {
        let begun = self.interim > 0 || !self.early.is_empty();
        if begun {
            NoHead::Broken(e)
        } else {
            NoHead::Nothing(e)
        }
    }

    /// Reads a piece more of what comes; an end is an error.
    pub(super) fn more(&mut self) -> io::Result<()> {
        let had = self.early.len();
        self.early.resize(had + PIECE, 0);
        let mut early = std::mem::take(&mut self.early);
        let got = self.receive(&mut early[had..]);
        early.truncate(had + *got.as_ref().unwrap_or(&0));
        self.early = early;
        match got? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Fills all of it.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<()> {
        let early = self.early.len().min(into.len());
        into[..early].copy_from_slice(&self.early[..early]);
        self.early.drain(..early);
        let mut at = early;
        while at < into.len() {
            match self.receive(&mut into[at..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                got => at += got,
            }
        }
        Ok(())
    }

    /// Content in chunks (RFC 9112 section 7.1), at most so much of it; the connection is of no use afterwards.
    pub fn chunked(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        while content.len() < most {
            let size = self.line()?;
            let size = size.split(';').next().unwrap_or("").trim();
            let malformed = || io::Error::from(io::ErrorKind::InvalidData);
            let size = usize::from_str_radix(size, 16).map_err(|_| malformed())?;
            if size == 0 {
                break;
            }
            let had = content.len();
            let wanted = size.min(most - had);
            content.resize(had + wanted, 0);
            self.read(&mut content[had..])?;
            if wanted == size && !self.line()?.is_empty() {
                return Err(malformed());
            }
        }
        Ok(content)
    }

    /// What comes until the server closes, at most so much of it.
    pub fn rest(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut content = std::mem::take(&mut self.early);
        let mut piece = [0; PIECE];
        while content.len() < most {
            match self.receive(&mut piece)? {
                0 => break,
                got => content.extend_from_slice(&piece[..got]),
            }
        }
        content.truncate(most);
        Ok(content)
    }

    /// Up to the end of a line, which is not given.
    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.early.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.early.drain(..=end).collect();
                let text = String::from_utf8_lossy(&line);
                return Ok(text.trim_end_matches(['\r', '\n']).to_string());
            }
            if self.early.len() > MAX_LINE {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.more()?;
        }
    }

    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.try_receive(into) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                got => return got,
            }
        }
    }

    /// Writes nothing, whatever TLS has yet to send: a server that answers early reads no more.
    fn try_receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut socket = &*self.socket;
        let Some(tls) = &mut self.tls else {
            return socket.read(into);
        };
        loop {
            match tls.reader().read(into) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                got => return got,
            }
            tls.read_tls(&mut socket)?;
            tls.process_new_packets()
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        }
    }
}

/// A byte that has come and was not read yet: 1; 0: the other side has closed; `AGAIN`: neither.
pub(super) fn peek(socket: &TcpStream) -> rustix::io::Result<usize> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(socket, &mut [0u8; 1], flags).map(|(_, received)| received)
}

/// The first address that answers; each has its share of the time.
pub(super) fn connect(host: &str, port: u16, patience: Duration) -> io::Result<TcpStream> {
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    let share = patience / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses {
        match TcpStream::connect_timeout(&address, share) {
            Ok(socket) => return Ok(socket),
            Err(e) => last = e,
        }
    }
    Err(last)
}
