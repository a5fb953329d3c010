//! A root and what can be done below it.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::Env;
use napi::bindgen_prelude::{AsyncTask, BigInt, Buffer};
use napi_derive::napi;
use parking_lot::Mutex;
use pb_io::error::Code;
use pb_io::fs::{Resolve, Root};

use super::pack;
use super::walker::NativeWalker;
use crate::error::Failure;
use crate::work::{Work, work};

/// A directory below which everything happens. Paths are bytes, relative, '/'-separated; empty is the root.
#[napi]
pub struct NativeRoot {
    root: Mutex<Option<Root>>,
}

/// What a removal removed.
#[napi(object)]
pub struct NativeRemoved {
    pub files: f64,
    pub directories: f64,
}

/// Bytes.
#[napi(object)]
pub struct NativeSpace {
    pub available: f64,
    pub total: f64,
}

/// Ends a long call early: it rejects with the code `aborted`.
#[napi]
#[derive(Default)]
pub struct NativeCancel {
    flag: Arc<AtomicBool>,
}

#[napi]
impl NativeCancel {
    #[napi(constructor)]
    pub fn new() -> NativeCancel {
        NativeCancel::default()
    }

    #[napi]
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }
}

impl NativeRoot {
    fn wrap(root: Root) -> NativeRoot {
        NativeRoot {
            root: Mutex::new(Some(root)),
        }
    }

    /// The root for the engine's own use; the error `aborted` after `close()`.
    pub fn root(&self, env: &Env) -> napi::Result<Root> {
        let closed = || Failure::new(Code::Aborted, "the root is closed").into_js(env);
        self.root.lock().clone().ok_or_else(closed)
    }
}

#[napi]
impl NativeRoot {
    /// Opens a directory of this host. `beneath`: no link leads out; else links lead where they lead.
    #[napi(ts_return_type = "Promise<NativeRoot>")]
    pub fn open(path: &[u8], beneath: bool, writable: bool) -> AsyncTask<Work<NativeRoot>> {
        let path = path.to_vec();
        work(move || {
            let resolve = if beneath {
                Resolve::Beneath
            } else {
                Resolve::Host
            };
            let dir = Path::new(std::ffi::OsStr::from_bytes(&path));
            Ok(NativeRoot::wrap(Root::open(dir, resolve, writable)?))
        })
    }

    /// A root further down, with no more rights.
    #[napi(ts_return_type = "Promise<NativeRoot>")]
    pub fn sub(
        &self,
        env: Env,
        path: &[u8],
        writable: bool,
    ) -> napi::Result<AsyncTask<Work<NativeRoot>>> {
        let (root, path) = (self.root(&env)?, path.to_vec());
        Ok(work(move || {
            Ok(NativeRoot::wrap(root.sub(&path, writable)?))
        }))
    }

    /// One packed entry with an empty path (layout: see src/native/entries.ts).
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn stat(
        &self,
        env: Env,
        path: &[u8],
        follow: bool,
    ) -> napi::Result<AsyncTask<Work<Buffer>>> {
        let (root, path) = (self.root(&env)?, path.to_vec());
        Ok(work(move || {
            let mut out = Vec::new();
            pack::entry(&mut out, b"", &root.stat(&path, follow)?);
            Ok(out.into())
        }))
    }

    /// Starts a listing; `maxDepth` 0: no bound, 1: the folder's own entries.
    #[napi(ts_return_type = "Promise<NativeWalker>")]
    pub fn walk(
        &self,
        env: Env,
        path: &[u8],
        follow: bool,
        max_depth: u32,
    ) -> napi::Result<AsyncTask<Work<NativeWalker>>> {
        let (root, path) = (self.root(&env)?, path.to_vec());
        Ok(work(move || {
            NativeWalker::start(root, &path, follow, max_depth)
        }))
    }

    /// Mode 0: 0777 less the umask. True when the folder was not there before.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn mkdir(
        &self,
        env: Env,
        path: &[u8],
        parents: bool,
        mode: u32,
    ) -> napi::Result<AsyncTask<Work<bool>>> {
        let (root, path) = (self.root(&env)?, path.to_vec());
        Ok(work(move || Ok(root.mkdir(&path, parents, mode)?)))
    }

    /// Without `mtimeNs`: now.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn touch(
        &self,
        env: Env,
        path: &[u8],
        mtime_ns: Option<BigInt>,
        create: bool,
    ) -> napi::Result<AsyncTask<Work<()>>> {
        let (root, path) = (self.root(&env)?, path.to_vec());
        let mtime = mtime_ns.map(|ns| ns.get_i64());
        if mtime.is_some_and(|(_, lossless)| !lossless) {
            let text = "the modification time is beyond what 64 bits of nanoseconds hold";
            return Err(Failure::new(Code::InvalidArgument, text).into_js(&env));
        }
        Ok(work(move || {
            Ok(root.touch(&path, mtime.map(|(ns, _)| ns), create)?)
        }))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn rename(
        &self,
        env: Env,
        from: &[u8],
        to: &[u8],
        replace: bool,
    ) -> napi::Result<AsyncTask<Work<()>>> {
        let (root, from, to) = (self.root(&env)?, from.to_vec(), to.to_vec());
        Ok(work(move || Ok(root.rename(&from, &to, replace)?)))
    }

    #[napi(ts_return_type = "Promise<NativeRemoved>")]
    pub fn remove(
        &self,
        env: Env,
        path: &[u8],
        recursive: bool,
        cancel: Option<&NativeCancel>,
    ) -> napi::Result<AsyncTask<Work<NativeRemoved>>> {
        let (root, path) = (self.root(&env)?, path.to_vec());
        let flag = cancel.map(|cancel| cancel.flag.clone()).unwrap_or_default();
        Ok(work(move || {
            let removed = root.remove_until(&path, recursive, &flag)?;
            Ok(NativeRemoved {
                files: removed.files as f64,
                directories: removed.directories as f64,
            })
        }))
    }

    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn read_link(&self, env: Env, path: &[u8]) -> napi::Result<AsyncTask<Work<Buffer>>> {
        let (root, path) = (self.root(&env)?, path.to_vec());
        Ok(work(move || Ok(root.read_link(&path)?.into())))
    }

    #[napi(ts_return_type = "Promise<NativeSpace>")]
    pub fn free_space(&self, env: Env, path: &[u8]) -> napi::Result<AsyncTask<Work<NativeSpace>>> {
        let (root, path) = (self.root(&env)?, path.to_vec());
        Ok(work(move || {
            let space = root.free_space(&path)?;
            Ok(NativeSpace {
                available: space.available as f64,
                total: space.total as f64,
            })
        }))
    }

    /// Idempotent. Calls under way end by themselves; later ones are refused.
    #[napi]
    pub fn close(&self) {
        *self.root.lock() = None;
    }
}
