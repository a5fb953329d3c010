//! Heads: what is sent, and how what comes is framed (RFC 9112).

use super::Asked;

/// Longer heads of an answer are refused, as Node does at 16 KiB; servers that set many cookies come near.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
/// Of what a server says about its refusal.
pub(super) const MAX_TEXT: u64 = 1024 * 1024;

/// Of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Names in lower case; values as ISO 8859-1.
    pub headers: Vec<(String, String)>,
}

/// How the content after a head ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

/// A head that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub head: Head,
    pub framing: Framing,
    /// The connection may be used again after the content.
    pub keep: bool,
    /// Bytes that it takes.
    pub len: usize,
}

impl Parsed {
    /// May more be asked over the connection, once what is said with this has been read as text?
    pub fn keeps_after_text(&self) -> bool {
        // Only after content that was read to its end another answer comes.
        self.keep && matches!(self.framing, Framing::Length(length) if length <= MAX_TEXT)
    }
}

/// Why a head can't be read or sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadError {
    #[error("the answer is no HTTP/1.1")]
    Malformed,
    #[error("the answer's head is too long")]
    TooLong,
    #[error("the answer tells two lengths")]
    TwoLengths,
    #[error("a header can't be sent as it is")]
    Unsendable,
}

/// What goes out. A byte that would end a line or the head is refused: whatever was to be asked, it is not what would be.
pub(super) fn request(asked: &Asked) -> Result<Vec<u8>, HeadError> {
    let visible = |text: &str| text.bytes().all(|b| b > b' ' && b < 0x7f);
    let value = |text: &str| {
        let allowed = |b: u8| b == b'\t' || (b >= b' ' && b != 0x7f);
        text.bytes().all(allowed)
    };
    let token = |text: &str| !text.is_empty() && visible(text) && !text.contains(':');
    let sendable = token(&asked.method)
        && asked.target.starts_with('/')
        && visible(&asked.target)
        && asked.headers.iter().all(|(n, v)| token(n) && value(v));
    if !sendable {
        return Err(HeadError::Unsendable);
    }
    let mut out = format!("{} {} HTTP/1.1\r\n", asked.method, asked.target).into_bytes();
    for (name, value) in &asked.headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// Reads a head off the front of `bytes`; `None`: there has to come more.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Parsed>, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut fields);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() >= MAX_HEAD => return Err(HeadError::TooLong),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLong),
        Err(_) => return Err(HeadError::Malformed),
    };
    let status = response.code.ok_or(HeadError::Malformed)?;
    let persistent = response.version == Some(1);
    let headers: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|field| (field.name.to_ascii_lowercase(), latin1(field.value)))
        .collect();
    let all = |wanted: &'static str| {
        let of = move |(name, value)| (name == wanted).then_some(value);
        headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .filter_map(of)
    };
    let named = |wanted: &'static str, word: &str| {
        let mut words = all(wanted).flat_map(|value| value.split(','));
        words.any(|w| w.trim().eq_ignore_ascii_case(word))
    };
    let keep = persistent && !named("connection", "close");
    let mut framing = length(all("content-length"))?;
    // A length beside it is not to be trusted (section 6.3).
    if all("transfer-encoding").next().is_some() {
        framing = match named("transfer-encoding", "chunked") {
            true => Framing::Chunked,
            false => Framing::Close,
        };
    }
    // These have no content, whatever they say (section 6.3).
    if status < 200 || status == 204 || status == 304 {
        framing = Framing::Length(0);
    }
    let head = Head { status, headers };
    Ok(Some(Parsed {
        head,
        framing,
        keep,
        len,
    }))
}

/// One length may be told several times (RFC 9110 section 8.6); two lengths are an attack or a broken proxy.
fn length<'a>(values: impl Iterator<Item = &'a str>) -> Result<Framing, HeadError> {
    let mut told = None;
    for value in values.flat_map(|value| value.split(',')).map(str::trim) {
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let number: Option<u64> = digits.then(|| value.parse().ok()).flatten();
        let number = number.ok_or(HeadError::Malformed)?;
        if told.replace(number).is_some_and(|before| before != number) {
            return Err(HeadError::TwoLengths);
        }
    }
    Ok(told.map_or(Framing::Close, Framing::Length))
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::web::Origin;

    fn asked(target: &str, headers: &[(&str, &str)]) -> Asked {
        Asked {
            origin: Origin {
                tls: false,
                host: "h".into(),
                port: 80,
            },
            method: "GET".into(),
            target: target.into(),
            headers: headers.iter().map(|&(n, v)| (n.into(), v.into())).collect(),
        }
    }

    #[test]
    fn a_request_is_what_was_asked_and_nothing_more() {
        let sent = request(&asked("/a%20b?c", &[("host", "h"), ("range", "bytes=0-1")])).unwrap();
        let text = "GET /a%20b?c HTTP/1.1\r\nhost: h\r\nrange: bytes=0-1\r\n\r\n";
        assert_eq!(sent, text.as_bytes());
        for hostile in ["a", "/a b", "/a\r\nx: y", "/é", ""] {
            assert_eq!(request(&asked(hostile, &[])), Err(HeadError::Unsendable));
        }
        for (name, value) in [
            ("a", "b\r\nc: d"),
            ("a", "b\n"),
            ("a b", "c"),
            ("a:", "c"),
            ("", "c"),
            ("a", "\0"),
        ] {
            let asked = asked("/", &[(name, value)]);
            assert_eq!(
                request(&asked),
                Err(HeadError::Unsendable),
                "{name:?} {value:?}"
            );
        }
    }

    fn parsed(text: &str) -> Parsed {
        parse(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn the_end_of_content_is_found_by_the_rules() {
        let of = |rest: &str| {
            let Parsed { framing, keep, .. } =
                parsed(&format!("HTTP/1.1 206 Partial\r\n{rest}\r\n"));
            (framing, keep)
        };
        assert_eq!(of("Content-Length: 5\r\n"), (Framing::Length(5), true));
        assert_eq!(
            of("content-length: 5, 5\r\nContent-Length: 5\r\n"),
            (Framing::Length(5), true)
        );
        assert_eq!(
            of("Content-Length: 5\r\nConnection: keep-alive, Close\r\n"),
            (Framing::Length(5), false)
        );
        assert_eq!(
            of("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            (Framing::Chunked, true)
        );
        assert_eq!(of(""), (Framing::Close, true));
        let old = parsed("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!((old.keep, old.len), (false, 38));
        assert_eq!(
            parsed("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n").framing,
            Framing::Length(0)
        );
    }

    proptest! {
        /// Whatever comes, a head that is taken ends where its empty line does, and reading it again gives the same.
        #[test]
        fn any_bytes_are_a_head_or_none(start in ".{0,9}", rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = b"HTTP/1.1 20".to_vec();
            bytes.extend_from_slice(start.as_bytes());
            bytes.extend_from_slice(&rest);
            if let Ok(Some(parsed)) = parse(&bytes) {
                prop_assert!(bytes[..parsed.len].ends_with(b"\n"));
                prop_assert_eq!(parse(&bytes[..parsed.len]).unwrap().unwrap(), parsed);
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let of = |text: &str| parse(text.as_bytes());
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Length: 5"), Ok(None));
        assert_eq!(of("SSH-2.0-OpenSSH\r\n"), Err(HeadError::Malformed));
        for length in ["-1", "+5", "5x", "", "99999999999999999999999"] {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(of(&text), Err(HeadError::Malformed), "{length}");
        }
        let two = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n";
        assert_eq!(of(two), Err(HeadError::TwoLengths));
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(MAX_HEAD));
        assert_eq!(of(&long), Err(HeadError::TooLong));
        let many = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "a: b\r\n".repeat(MAX_HEADERS + 1)
        );
        assert_eq!(of(&many), Err(HeadError::TooLong));
    }
}
