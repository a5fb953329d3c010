//! The stable error codes that cross every boundary: native, API, command line.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// Stable code; its text is the `code` of `PbError` in TypeScript and of `ErrorInfo` on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }
        impl Code {
            /// The text that crosses boundaries.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }
            /// The code of a text, `None` for one that this version does not know.
            pub fn parse(text: &str) -> Option<Code> {
                match text { $($text => Some(Code::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    NotFound = "not_found",
    Exists = "exists",
    NotADirectory = "not_a_directory",
    IsADirectory = "is_a_directory",
    NotEmpty = "not_empty",
    PermissionDenied = "permission_denied",
    ReadOnly = "read_only",
    /// The path leaves its root, through `..`, an absolute name or a link.
    PathEscapes = "path_escapes",
    InvalidPath = "invalid_path",
    NoSpace = "no_space",
    TooManyOpenFiles = "too_many_open_files",
    CrossDevice = "cross_device",
    /// Neither file, directory nor symbolic link.
    UnsupportedKind = "unsupported_kind",
    /// Source and destination are one file under two names.
    SameFile = "same_file",
    SourceVanished = "source_vanished",
    SourceChanged = "source_changed",
    VerificationFailed = "verification_failed",
    IoError = "io_error",
    FsyncFailed = "fsync_failed",
    Unreachable = "unreachable",
    Timeout = "timeout",
    ConnectionLost = "connection_lost",
    ProtocolViolation = "protocol_violation",
    Unauthenticated = "unauthenticated",
    Aborted = "aborted",
    ResourceExhausted = "resource_exhausted",
    Unsupported = "unsupported",
    InvalidArgument = "invalid_argument",
    Internal = "internal",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Code {
    /// The code of a text that came over the wire; one of a newer peer is `Internal` here.
    pub fn from_wire(text: &[u8]) -> Code {
        let known = std::str::from_utf8(text).ok().and_then(Code::parse);
        known.unwrap_or(Code::Internal)
    }

    /// The code of an operating system error, `IoError` where there is no better one.
    pub fn from_errno(errno: rustix::io::Errno) -> Code {
        use rustix::io::Errno as E;
        match errno {
            E::NOENT => Code::NotFound,
            E::EXIST => Code::Exists,
            E::NOTDIR => Code::NotADirectory,
            E::ISDIR => Code::IsADirectory,
            E::NOTEMPTY => Code::NotEmpty,
            E::ACCESS | E::PERM => Code::PermissionDenied,
            E::ROFS => Code::ReadOnly,
            E::XDEV => Code::CrossDevice,
            E::NOSPC | E::DQUOT => Code::NoSpace,
            E::MFILE | E::NFILE => Code::TooManyOpenFiles,
            E::NAMETOOLONG | E::INVAL | E::LOOP => Code::InvalidPath,
            _ => Code::IoError,
        }
    }
}
