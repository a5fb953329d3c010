//! The one error of file operations.

use std::fmt;

use rustix::io::Errno;

use crate::error::Code;

/// A file operation that failed, with the path that it failed on (relative to its root).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FsError {
    pub code: Code,
    /// Bytes as given or as read from the directory; may hold anything but NUL and must be escaped to be shown.
    pub path: Vec<u8>,
    /// The operation in one word: `open`, `rename`, …
    pub op: &'static str,
    /// What the kernel answered; `None` where the path was refused before it was asked.
    pub source: Option<Errno>,
}

impl FsError {
    /// A refusal of our own.
    pub fn refused(op: &'static str, path: &[u8], code: Code) -> FsError {
        FsError {
            code,
            path: path.to_vec(),
            op,
            source: None,
        }
    }

    /// An answer of the kernel.
    pub fn os(op: &'static str, path: &[u8], errno: Errno) -> FsError {
        FsError {
            code: Code::from_errno(errno),
            path: path.to_vec(),
            op,
            source: Some(errno),
        }
    }

    /// A failed fsync. Never retried: the kernel may have dropped the dirty pages and answer success next time.
    pub fn fsync(path: &[u8], errno: Errno) -> FsError {
        FsError {
            code: Code::FsyncFailed,
            path: path.to_vec(),
            op: "fsync",
            source: Some(errno),
        }
    }
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = String::from_utf8_lossy(&self.path);
        write!(f, "{} \"{}\": ", self.op, shown.escape_debug())?;
        match self.source {
            Some(errno) => write!(f, "{errno}"),
            None => write!(f, "{}", self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_control_bytes_escaped() {
        let e = FsError::os("open", b"a\n\x1b[31m", Errno::NOENT);
        let text = e.to_string();
        assert!(text.starts_with("open \"a\\n\\u{1b}[31m\": "), "{text}");
        assert_eq!(e.code, Code::NotFound);
    }
}
