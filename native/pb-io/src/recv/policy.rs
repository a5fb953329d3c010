//! Whether an entry is wanted, given what is there already.

use crate::error::Code;
use crate::fs::{Kind, Meta, Root};

/// `--overwrite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    Always,
    IfNewer,
    /// Size or mtime differ.
    IfDifferent,
    Never,
}

/// True when nothing can be there to compare with: an empty folder, or no file of that name.
pub(super) fn is_fresh(base: &Root, name: &[u8]) -> bool {
    if name.is_empty() {
        return base
            .list(b"")
            .is_ok_and(|mut entries| entries.next().is_none());
    }
    matches!(base.stat(name, false), Err(e) if e.code == Code::NotFound)
}

/// Is a file of this size and mtime to replace what is there?
pub(super) fn wants_file(policy: Overwrite, there: &Meta, size: u64, mtime_ns: i64) -> bool {
    match policy {
        Overwrite::Always => true,
        Overwrite::Never => false,
        Overwrite::IfNewer => {
            there.kind != Kind::File
                || (mtime_ns > there.mtime_ns && !same_time(there.mtime_ns, mtime_ns))
        }
        Overwrite::IfDifferent => {
            there.kind != Kind::File || there.size != size || !same_time(there.mtime_ns, mtime_ns)
        }
    }
}

/// Equal, or equal in whole seconds where the destination keeps no more.
pub(super) fn same_time(there: i64, here: i64) -> bool {
    const SECOND: i64 = 1_000_000_000;
    there == here || (there % SECOND == 0 && there.div_euclid(SECOND) == here.div_euclid(SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(size: u64, mtime_ns: i64) -> Meta {
        Meta {
            kind: Kind::File,
            size,
            mtime_ns,
            ctime_ns: 0,
            birth_ns: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            inode: 0,
            device: 0,
            nlink: 1,
            blocks: 0,
            link_target: None,
        }
    }

    #[test]
    fn policies() {
        let old = there(10, 5_000_000_001);
        assert!(wants_file(Overwrite::Always, &old, 10, 5_000_000_001));
        assert!(!wants_file(Overwrite::Never, &old, 11, 9_000_000_000));
        assert!(!wants_file(Overwrite::IfDifferent, &old, 10, 5_000_000_001));
        assert!(wants_file(Overwrite::IfDifferent, &old, 11, 5_000_000_001));
        assert!(wants_file(Overwrite::IfDifferent, &old, 10, 5_000_000_002));
        assert!(!wants_file(Overwrite::IfNewer, &old, 99, 5_000_000_000));
        assert!(wants_file(Overwrite::IfNewer, &old, 10, 5_000_000_002));
    }

    #[test]
    fn a_destination_of_whole_seconds_is_compared_in_seconds() {
        assert!(!wants_file(
            Overwrite::IfDifferent,
            &there(1, 7_000_000_000),
            1,
            7_123_456_789
        ));
        assert!(wants_file(
            Overwrite::IfDifferent,
            &there(1, 8_000_000_000),
            1,
            7_123_456_789
        ));
    }
}
