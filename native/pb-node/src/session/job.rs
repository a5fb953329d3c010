//! Jobs as JavaScript holds them.

use std::path::Path;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use pb_io::error::Code;
use pb_io::fs::Root;
use pb_io::job::{JobError, Listener, Manifest, Status};
use pb_io::pump::Pump;
use pb_io::recv::pumped::{PumpedOptions, PumpedRecv};
use pb_io::recv::{Overwrite, RecvJob, RecvOptions, Unfinished};
use pb_io::send::{SendJob, SendOptions};
use pb_io::session::{Accepts, Session};

use super::checkpoint::{self, OnBatch};
use super::options::{NativePumpedOptions, NativeReceiveOptions, NativeSendOptions};
use super::pack;
use super::pump::NativePump;
use crate::error::Failure;

/// Chunk unless told otherwise: large enough that a disk and an AEAD run at full speed, small enough for a core's cache.
const CHUNK: u32 = 1 << 20;
/// More would only hold descriptors on both sides.
const MAX_PARALLEL_FILES: u32 = 256;
/// Large files in flight unless told otherwise.
const PARALLEL_FILES: u32 = 4;

/// A sending job.
#[napi]
pub struct NativeSendJob {
    job: Arc<SendJob>,
    pump: Option<Arc<Pump>>,
}

/// A receiving job whose files JavaScript writes.
#[napi]
pub struct NativePumpedReceiveJob {
    job: Arc<PumpedRecv>,
    pump: Arc<Pump>,
}

/// What a sending job reads.
pub enum Sources {
    Roots(Vec<Root>),
    Pump(Arc<Pump>),
}

/// What a receiver wants of its sender.
#[napi(object)]
pub struct NativeAccepts {
    pub push: bool,
    pub dense: bool,
}

/// A receiving job.
#[napi]
pub struct NativeReceiveJob {
    job: Arc<RecvJob>,
}

impl From<JobError> for Failure {
    fn from(e: JobError) -> Failure {
        let mut failure = Failure::new(e.code, e.message);
        failure.path = (!e.path.is_empty()).then_some(e.path);
        failure
    }
}

fn manifest(path: Option<&String>) -> Result<Option<Manifest>, Failure> {
    let Some(path) = path.filter(|p| !p.is_empty()) else {
        return Ok(None);
    };
    let made = Manifest::create(Path::new(path));
    made.map(Some).map_err(|e| {
        Failure::new(
            Code::IoError,
            format!("the manifest {path} can't be written: {e}"),
        )
    })
}

pub fn start_send(
    session: &Arc<Session>,
    options: NativeSendOptions,
    from: Sources,
    listener: Listener,
) -> Result<NativeSendJob, Failure> {
    let chunk_bytes = if options.chunk_bytes == 0 {
        CHUNK
    } else {
        options.chunk_bytes
    };
    if !chunk_bytes.is_power_of_two() || !(64 << 10..=1 << 20).contains(&chunk_bytes) {
        let text =
            format!("a chunk is a power of two from 64 KiB to 1 MiB, not {chunk_bytes} bytes");
        return Err(Failure::new(Code::InvalidArgument, text));
    }
    let parallel = if options.parallel_files == 0 {
        PARALLEL_FILES
    } else {
        options.parallel_files
    };
    let (roots, pump) = match from {
        Sources::Roots(roots) => (roots, None),
        Sources::Pump(pump) => (Vec::new(), Some(pump)),
    };
    let send = SendOptions {
        job: options.job,
        roots,
        chunk_bytes,
        parallel_files: parallel.min(MAX_PARALLEL_FILES) as usize,
        follow: options.follow,
        remove_sources: options.remove_sources,
    };
    let status = Status::new(manifest(options.manifest_file.as_ref())?, listener);
    Ok(NativeSendJob {
        job: SendJob::start_from(session, send, status, pump.clone())?,
        pump,
    })
}

pub fn start_pumped(
    session: &Arc<Session>,
    options: NativePumpedOptions,
    pump: Arc<Pump>,
    (listener, on_batch): (Listener, OnBatch),
) -> Result<NativePumpedReceiveJob, Failure> {
    let kept = options.checkpoint;
    let kept = kept
        .map(|kept| checkpoint::options(kept, on_batch))
        .transpose()?;
    let status = Status::new(manifest(options.manifest_file.as_ref())?, listener);
    let receive = PumpedOptions {
        job: options.job,
        exact_name: options.exact_name,
        push: options.push,
    };
    Ok(NativePumpedReceiveJob {
        job: PumpedRecv::start(session, receive, (status, Arc::clone(&pump)), kept)?,
        pump,
    })
}

pub fn start_receive(
    session: &Arc<Session>,
    options: NativeReceiveOptions,
    root: Root,
    (listener, on_batch): (Listener, Option<OnBatch>),
) -> Result<NativeReceiveJob, Failure> {
    let checkpoint = match (options.checkpoint, on_batch) {
        (Some(checkpoint), Some(on_batch)) => Some(checkpoint::options(checkpoint, on_batch)?),
        _ => None,
    };
    let overwrite = match options.overwrite.as_str() {
        "always" => Overwrite::Always,
        "if-newer" => Overwrite::IfNewer,
        "if-different" => Overwrite::IfDifferent,
        "never" => Overwrite::Never,
        other => {
            return Err(Failure::new(
                Code::InvalidArgument,
                format!("unknown overwrite policy \"{other}\""),
            ));
        }
    };
    let receive = RecvOptions {
        job: options.job,
        root,
        base: options.base.to_vec(),
        exact_name: options.exact_name,
        overwrite,
        fsync: options.fsync,
        perms: options.perms,
        owner: options.owner,
        stream: options.destination_fd.map(pack::duplicate).transpose()?,
        discard: options.discard.unwrap_or(false),
        reread: options.reread.unwrap_or(false),
    };
    let status = Status::new(manifest(options.manifest_file.as_ref())?, listener);
    Ok(NativeReceiveJob {
        job: RecvJob::start(session, receive, status, checkpoint)?,
    })
}

fn unfinished(keep: bool) -> Unfinished {
    match keep {
        true => Unfinished::Keep,
        false => Unfinished::Remove,
    }
}

#[napi]
impl NativeSendJob {
    /// Queues a packed batch (see pack.rs); how many entries wait now.
    #[napi]
    pub fn push(&self, env: Env, packed: Uint8Array) -> napi::Result<u32> {
        let entries = pack::entries(&packed).map_err(|e| e.into_js(&env))?;
        Ok(u32::try_from(self.job.push(entries)).unwrap_or(u32::MAX))
    }

    /// By which its calls are answered, in a job whose sources JavaScript reads.
    #[napi]
    pub fn pump(&self) -> Option<NativePump> {
        let pump = self.pump.clone()?;
        Some(NativePump { pump })
    }

    /// No more entries come.
    #[napi]
    pub fn finish(&self) {
        self.job.finish();
    }

    #[napi]
    pub fn abort(&self, reason: String) {
        self.job.abort(&reason);
    }
}

#[napi]
impl NativePumpedReceiveJob {
    /// As of `NativeReceiveJob`.
    #[napi]
    pub fn abort(&self, reason: String, keep: bool) {
        self.job.abort(&reason, unfinished(keep));
    }

    /// As of `NativeReceiveJob`.
    #[napi]
    pub fn fail_for(&self, code: String, reason: String) {
        self.job.fail_for(Code::from_wire(code.as_bytes()), &reason);
    }

    /// The batch is on stable storage.
    #[napi]
    pub fn confirm(&self, batch: u32) {
        self.job.confirm(batch);
    }

    /// By which its calls are answered.
    #[napi]
    pub fn pump(&self) -> NativePump {
        let pump = Arc::clone(&self.pump);
        NativePump { pump }
    }
}

#[napi]
impl NativeReceiveJob {
    /// What the sender is told of it.
    #[napi(getter)]
    pub fn accepts(&self) -> NativeAccepts {
        let Accepts { push, dense } = self.job.accepts();
        NativeAccepts { push, dense }
    }

    /// `keep`: what the checkpoint knows of unfinished files stays.
    #[napi]
    pub fn abort(&self, reason: String, keep: bool) {
        self.job.abort(&reason, unfinished(keep));
    }

    /// The job can't go on for a reason that its checkpoint's keeper knows; what the checkpoint knows of stays.
    #[napi]
    pub fn fail_for(&self, code: String, reason: String) {
        self.job.fail_for(Code::from_wire(code.as_bytes()), &reason);
    }

    /// The batch is on stable storage.
    #[napi]
    pub fn confirm(&self, batch: u32) {
        self.job.confirm(batch);
    }
}
