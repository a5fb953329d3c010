//! Bounded memory for units: a budget, and buffers that are reused last-in first-out so that they stay in cache.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Slack behind each buffer's length: an AEAD tag may land there.
pub const SLACK: usize = 16;

struct Pool {
    free: Vec<Vec<u8>>,
    used: usize,
    /// Nothing is kept for reuse any more.
    closed: bool,
}

struct Shared {
    pool: Mutex<Pool>,
    freed: Condvar,
    limit: usize,
}

/// A byte budget with a pool of buffers. Cloning shares it.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

/// Bytes that are charged to a [`Budget`] until dropped.
pub struct Buffer {
    bytes: Vec<u8>,
    len: usize,
    budget: Budget,
}

/// Buffers are pooled in this one size class and larger; smaller ones are allocated as needed.
const POOLED: usize = 256 * 1024;

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Budget {
        let pool = Mutex::new(Pool {
            free: Vec::new(),
            used: 0,
            closed: false,
        });
        Budget(Arc::new(Shared {
            pool,
            freed: Condvar::new(),
            limit,
        }))
    }

    /// The limit given at the start, bytes.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Bytes charged now.
    pub fn used(&self) -> usize {
        self.0.pool.lock().used
    }

    /// Frees what is kept for reuse, now and from now on: whoever holds the budget on holds no memory by it.
    pub fn close(&self) {
        let mut pool = self.0.pool.lock();
        pool.closed = true;
        pool.free = Vec::new();
    }

    /// A buffer of `len` bytes (content unspecified but initialised), `None` when the budget is exhausted.
    /// A single buffer larger than the whole budget is granted when nothing else is charged.
    pub fn try_take(&self, len: usize) -> Option<Buffer> {
        let mut pool = self.0.pool.lock();
        if pool.used > 0 && pool.used + len > self.0.limit {
            return None;
        }
        Some(self.charge(&mut pool, len))
    }

    /// Like [`try_take`](Self::try_take), waiting until there is room or `stop` says so (checked every 50 ms).
    pub fn take(&self, len: usize, stop: &dyn Fn() -> bool) -> Option<Buffer> {
        let mut pool = self.0.pool.lock();
        while pool.used > 0 && pool.used + len > self.0.limit {
            if stop() {
                return None;
            }
            self.0
                .freed
                .wait_for(&mut pool, std::time::Duration::from_millis(50));
        }
        Some(self.charge(&mut pool, len))
    }

    fn charge(&self, pool: &mut Pool, len: usize) -> Buffer {
        pool.used += len;
        let want = len + SLACK;
        let bytes = match pool.free.pop() {
            Some(b) if want >= POOLED && b.len() >= want => b,
            other => {
                if let Some(b) = other {
                    pool.free.push(b);
                }
                vec![
                    0;
                    if want >= POOLED {
                        want.next_multiple_of(64 * 1024)
                    } else {
                        want
                    }
                ]
            }
        };
        Buffer {
            bytes,
            len,
            budget: self.clone(),
        }
    }
}

impl Buffer {
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
    /// The bytes, to write.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
    /// The bytes and [`SLACK`] more.
    pub fn with_slack(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len + SLACK]
    }
    /// Shortens the buffer and gives the difference back to the budget.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.budget.0.pool.lock().used -= self.len - len;
            self.budget.0.freed.notify_all();
            self.len = len;
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut pool = self.budget.0.pool.lock();
        pool.used -= self.len;
        let pooled: usize = pool.free.iter().map(Vec::len).sum();
        if !pool.closed
            && bytes.len() >= POOLED
            && pool.used + pooled + bytes.len() <= self.budget.0.limit
        {
            pool.free.push(bytes);
        }
        drop(pool);
        self.budget.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_beyond_the_limit_and_takes_back() {
        let b = Budget::new(1 << 20);
        let a = b.try_take(700 << 10).unwrap();
        assert!(b.try_take(700 << 10).is_none());
        drop(a);
        assert_eq!(b.used(), 0);
        assert!(b.try_take(700 << 10).is_some());
    }

    #[test]
    fn one_oversized_buffer_passes_when_nothing_else_is_charged() {
        let b = Budget::new(1000);
        let big = b.try_take(5000).unwrap();
        assert_eq!(big.len(), 5000);
        assert!(b.try_take(1).is_none());
    }

    #[test]
    fn a_closed_budget_keeps_nothing() {
        let b = Budget::new(4 << 20);
        let (first, second) = (b.try_take(1 << 20).unwrap(), b.try_take(1 << 20).unwrap());
        drop(first);
        assert_eq!(b.0.pool.lock().free.len(), 1);
        b.close();
        drop(second);
        assert!(b.0.pool.lock().free.is_empty() && b.used() == 0);
    }

    #[test]
    fn truncate_returns_the_difference() {
        let b = Budget::new(1 << 20);
        let mut a = b.try_take(1 << 20).unwrap();
        a.truncate(10);
        assert_eq!(b.used(), 10);
        assert_eq!(a.as_slice().len(), 10);
    }
}
