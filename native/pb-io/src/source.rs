//! What makes a source the same, and a file known again by a later run (`docs/design/0004-checkpoints.md`).

use pb_proto::message::item::{NO_TOKEN, SourceToken};

/// Names a file that goes, unchanged, to a place.
pub type FileKey = [u8; 16];

/// Bytes of a [`FileKey`] that tell the target alone: enough to see that a file was known before its source changed (a
/// chance of one in a million that a million known files hide it), and 88 bits are left for target and token.
pub const TARGET_BYTES: usize = 5;

/// Of a regular file; `inode` 0 where the listing had none.
pub fn token(size: u64, mtime_ns: i64, inode: u64) -> SourceToken {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"pb1 source");
    hasher.update(&size.to_be_bytes());
    hasher.update(&mtime_ns.to_be_bytes());
    hasher.update(&inode.to_be_bytes());
    first(hasher.finalize().as_bytes())
}

/// The key of a file; `None` for a source without a token, which is never resumed.
pub fn file_key(target: &[u8], token: &SourceToken) -> Option<FileKey> {
    if *token == NO_TOKEN {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(target);
    hasher.update(&[0]);
    hasher.update(token);
    let mut key = FileKey::default();
    let (of_target, of_both) = key.split_at_mut(TARGET_BYTES);
    of_target.copy_from_slice(&blake3::hash(target).as_bytes()[..TARGET_BYTES]);
    of_both.copy_from_slice(&hasher.finalize().as_bytes()[..16 - TARGET_BYTES]);
    Some(key)
}

fn first(hash: &[u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&hash[..16]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_identity_counts() {
        let one = token(1, 2, 3);
        assert_eq!(one, token(1, 2, 3));
        for other in [token(0, 2, 3), token(1, -2, 3), token(1, 2, 0)] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn keys_of_one_target_begin_alike_and_of_a_pipe_there_is_none() {
        let key = |target: &[u8], token| file_key(target, &token).unwrap();
        let (a, b) = (key(b"x", token(1, 2, 3)), key(b"x", token(1, 2, 4)));
        assert!(a != b && a[..TARGET_BYTES] == b[..TARGET_BYTES]);
        let c = key(b"y", token(1, 2, 3));
        assert!(a[..TARGET_BYTES] != c[..TARGET_BYTES] && a[TARGET_BYTES..] != c[TARGET_BYTES..]);
        assert_eq!(file_key(b"x", &NO_TOKEN), None);
    }
}
