//! What a path below a root may look like: bytes, relative, separated by `/`.

use std::borrow::Cow;

use super::FsError;
use crate::error::Code;

/// Longest name of one component, bytes (Linux `NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// Longest path, bytes (Linux `PATH_MAX` of 4096 counts the closing NUL).
pub const MAX_PATH: usize = 4095;

/// Checks a path and returns it without empty and `.` components; the root is the empty path.
///
/// NUL, over-long names and over-long paths are [`Code::InvalidPath`]; `..` and a leading `/` are [`Code::PathEscapes`].
pub fn normalise<'a>(op: &'static str, path: &'a [u8]) -> Result<Cow<'a, [u8]>, FsError> {
    if path.contains(&0) || path.len() > MAX_PATH {
        return Err(FsError::refused(op, path, Code::InvalidPath));
    }
    if path.first() == Some(&b'/') {
        return Err(FsError::refused(op, path, Code::PathEscapes));
    }
    let mut plain = true;
    for name in path.split(|b| *b == b'/') {
        match name {
            b".." => return Err(FsError::refused(op, path, Code::PathEscapes)),
            b"" | b"." => plain = false,
            _ if name.len() > MAX_NAME => {
                return Err(FsError::refused(op, path, Code::InvalidPath));
            }
            _ => {}
        }
    }
    if plain || path.is_empty() {
        return Ok(Cow::Borrowed(path));
    }
    let mut clean = Vec::with_capacity(path.len());
    for name in components(path) {
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(name);
    }
    Ok(Cow::Owned(clean))
}

/// The names of a path, first to last, without empty and `.` ones.
pub fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}

/// Parent and name of a normalised path; `None` for the root.
pub fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&path[..0], path),
    })
}

/// `parent/name`, or `name` below the root.
pub fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parent.len() + 1 + name.len());
    out.extend_from_slice(parent);
    if !parent.is_empty() && !name.is_empty() {
        out.push(b'/');
    }
    out.extend_from_slice(name);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &[u8]) -> Code {
        normalise("open", path).unwrap_err().code
    }

    #[test]
    fn refuses_what_leaves_the_root() {
        for bad in [
            &b".."[..],
            b"../x",
            b"a/../b",
            b"a/..",
            b"/",
            b"/etc/passwd",
            b"./..",
        ] {
            assert_eq!(code(bad), Code::PathEscapes, "{bad:?}");
        }
    }

    #[test]
    fn refuses_what_no_kernel_takes() {
        assert_eq!(code(b"a\0b"), Code::InvalidPath);
        assert_eq!(code(&[b'a'; 256]), Code::InvalidPath);
        assert_eq!(code(&b"ab/".repeat(1366)), Code::InvalidPath);
        assert_eq!(normalise("open", &[b'a'; 255]).unwrap().len(), 255);
    }

    #[test]
    fn normalises_empty_and_dot_components_only() {
        assert_eq!(&*normalise("open", b"a//b/./c/").unwrap(), b"a/b/c");
        assert_eq!(&*normalise("open", b"./").unwrap(), b"");
        assert_eq!(&*normalise("open", b"").unwrap(), b"");
        assert_eq!(&*normalise("open", b"...").unwrap(), b"...");
        assert_eq!(
            &*normalise("open", b"a\xff\n/%2e%2e").unwrap(),
            b"a\xff\n/%2e%2e"
        );
    }

    proptest::proptest! {
        #[test]
        fn what_passes_stays_below_and_is_stable(path in "[a./\\PC]{0,40}") {
            if let Ok(clean) = normalise("open", path.as_bytes()) {
                let mut names = clean.split(|b| *b == b'/');
                assert!(clean.is_empty() || names.all(|n| !n.is_empty() && n != b"." && n != b".."));
                assert_eq!(&*normalise("open", &clean).unwrap(), &*clean);
                assert!(components(path.as_bytes()).eq(components(&clean)));
            }
        }
    }

    #[test]
    fn splits_and_joins() {
        assert_eq!(split(b""), None);
        assert_eq!(split(b"a"), Some((&b""[..], &b"a"[..])));
        assert_eq!(split(b"a/b/c"), Some((&b"a/b"[..], &b"c"[..])));
        assert_eq!(join(b"", b"x"), b"x");
        assert_eq!(join(b"a/b", b"c"), b"a/b/c");
    }
}
