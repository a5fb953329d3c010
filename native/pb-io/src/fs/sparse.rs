//! Where a file has data and where holes.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// At most this many ranges; the last one then runs to the end, holes included. Bounds the memory that a hostile
/// file (a hole in every other block of a terabyte) can ask for.
pub const MAX_RANGES: usize = 65_536;

/// The ranges below `size` that are not holes, ascending, apart from each other. One range where the file system
/// does not tell holes. Moves the descriptor's file offset.
pub fn data_ranges(file: &File, size: u64) -> io::Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // No data from here on.
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(std::iter::once(0..size).collect()),
            Err(errno) => return Err(errno.into()),
        };
        if start >= size {
            break;
        }
        if ranges.len() + 1 == MAX_RANGES {
            ranges.push(start..size);
            break;
        }
        let end = match seek(file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            // Shortened between the two calls; the reader finds out.
            Err(Errno::NXIO) => size,
            Err(errno) => return Err(errno.into()),
        };
        ranges.push(start..end);
        at = end;
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::super::testing::Scratch;
    use super::*;

    fn file(scratch: &Scratch, size: u64) -> File {
        let options = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .clone();
        let file = options.open(scratch.path().join("f")).unwrap();
        file.set_len(size).unwrap();
        file
    }

    #[test]
    fn finds_data_between_holes() {
        let scratch = Scratch::new();
        let f = file(&scratch, 64 << 20);
        f.write_all_at(&[1; 4096], 8 << 20).unwrap();
        f.write_all_at(&[1; 4096], (64 << 20) - 4096).unwrap();
        let ranges = data_ranges(&f, 64 << 20).unwrap();
        assert_eq!(ranges.len(), 2, "{ranges:?}");
        assert!(ranges[0].contains(&(8 << 20)) && ranges[0].end - ranges[0].start <= 1 << 20);
        assert_eq!(ranges[1].end, 64 << 20);
    }

    #[test]
    fn nothing_but_a_hole_and_nothing_at_all() {
        let scratch = Scratch::new();
        let f = file(&scratch, 1 << 40);
        assert_eq!(data_ranges(&f, 1 << 40).unwrap(), []);
        assert_eq!(data_ranges(&f, 0).unwrap(), []);
    }

    #[test]
    fn never_beyond_the_size_asked_for() {
        let scratch = Scratch::new();
        let f = file(&scratch, 0);
        f.write_all_at(&[1; 20_000], 0).unwrap();
        let ranges = data_ranges(&f, 10_000).unwrap();
        assert_eq!((ranges.len(), &ranges[0]), (1, &(0..10_000)));
    }
}
