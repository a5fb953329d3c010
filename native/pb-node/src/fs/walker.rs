//! A listing in packed batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use parking_lot::Mutex;
use pb_io::error::Code;
use pb_io::fs::{Root, Walker};

use super::pack;
use crate::error::Failure;
use crate::work::{Work, work};

/// A batch ends early at this size: 1,000 entries with paths of ordinary length need a tenth of it.
const MAX_BATCH_BYTES: usize = 1 << 20;

struct Shared {
    walker: Mutex<Option<Walker>>,
    closed: AtomicBool,
}

/// A listing under way.
#[napi]
pub struct NativeWalker {
    shared: Arc<Shared>,
}

impl NativeWalker {
    pub fn start(
        root: Root,
        path: &[u8],
        follow: bool,
        depth: u32,
    ) -> Result<NativeWalker, Failure> {
        let walker = Walker::new(root, path, follow)?.with_max_depth(depth);
        let walker = Mutex::new(Some(walker));
        Ok(NativeWalker {
            shared: Arc::new(Shared {
                walker,
                closed: AtomicBool::new(false),
            }),
        })
    }
}

#[napi]
impl NativeWalker {
    /// Up to `max` records (layout: see src/native/entries.ts), null at the end. After `close()` rejects with `aborted`.
    #[napi(ts_return_type = "Promise<Buffer | null>")]
    pub fn next(&self, max: u32) -> AsyncTask<Work<Option<Buffer>>> {
        let shared = self.shared.clone();
        work(move || shared.batch(max as usize))
    }

    /// Idempotent; a `next` under way ends at its next entry.
    #[napi]
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        if let Some(mut walker) = self.shared.walker.try_lock() {
            *walker = None;
        }
    }
}

impl Shared {
    fn batch(&self, max: usize) -> Result<Option<Buffer>, Failure> {
        let mut held = self.walker.lock();
        let mut out = Vec::new();
        let mut ended = false;
        if let Some(walker) = held.as_mut() {
            for _ in 0..max.max(1) {
                if self.closed.load(Ordering::Relaxed) || out.len() >= MAX_BATCH_BYTES {
                    break;
                }
                match walker.next() {
                    Some(Ok((path, meta))) => pack::entry(&mut out, &path, &meta),
                    Some(Err(error)) => pack::error(&mut out, &error),
                    None => {
                        ended = true;
                        break;
                    }
                }
            }
        }
        if self.closed.load(Ordering::Relaxed) {
            *held = None;
            return Err(Failure::new(Code::Aborted, "the listing was closed"));
        }
        if ended {
            *held = None;
        }
        Ok(if out.is_empty() {
            None
        } else {
            Some(out.into())
        })
    }
}
