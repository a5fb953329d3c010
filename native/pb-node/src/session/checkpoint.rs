//! Checkpoints of receiving jobs, as JavaScript gives and gets them.

use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{AsyncTask, BigInt, ClassInstance, Function, Uint8Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use pb_io::error::Code;
use pb_io::recv::checkpoint::{Batch, CheckpointOptions, PartRecord};
use pb_io::source::FileKey;

use crate::error::Failure;
use crate::fs::NativeRoot;
use crate::work::{Work, work};

/// See `ReceiveCheckpoint` in src/native/types.ts.
#[napi(object, object_to_js = false)]
pub struct NativeCheckpoint {
    pub parts: Vec<NativePart>,
    pub done: Uint8Array,
    pub hashes: Uint8Array,
    pub flush_bytes: f64,
    pub flush_ms: f64,
    pub name_tag: u32,
    /// Negative: no earlier run placed anything.
    pub placed_since_ms: f64,
}

/// See `PartRecord`; `target` as bytes.
#[napi(object)]
pub struct NativePart {
    pub key: Uint8Array,
    pub target: Uint8Array,
    pub size: f64,
    pub chunk_bytes: u32,
    pub temporary: Uint8Array,
    pub device: BigInt,
    pub inode: BigInt,
    pub birth_ns: BigInt,
    pub chunks: Uint8Array,
}

/// See `CheckpointBatch`.
#[napi(object)]
pub struct NativeBatch {
    pub number: u32,
    pub parts: Vec<NativePart>,
    pub done: Uint8Array,
    pub gone: Uint8Array,
}

/// Hears of batches.
pub type OnBatch = Box<dyn Fn(Batch) + Send + Sync>;

/// A listener that calls a JavaScript function.
pub fn on_batch(function: &Function<'_, NativeBatch, ()>) -> napi::Result<OnBatch> {
    let call = function
        .build_threadsafe_function::<Batch>()
        .weak::<true>()
        .build_callback(|c| Ok(to_js(c.value)))?;
    Ok(Box::new(move |batch| {
        call.call(batch, ThreadsafeFunctionCallMode::NonBlocking);
    }))
}

fn to_js(batch: Batch) -> NativeBatch {
    NativeBatch {
        number: batch.number,
        parts: batch.parts.into_iter().map(part_to_js).collect(),
        done: batch.done.into(),
        gone: batch.gone.into(),
    }
}

fn part_to_js(part: PartRecord) -> NativePart {
    NativePart {
        key: part.key.to_vec().into(),
        target: part.target.into(),
        size: part.size as f64,
        chunk_bytes: u32::try_from(part.chunk_bytes).unwrap_or(u32::MAX),
        temporary: part.temporary.into(),
        device: part.device.into(),
        inode: part.inode.into(),
        birth_ns: part.birth_ns.into(),
        chunks: part.chunks.into(),
    }
}

/// What an earlier run left, with a listener for what this one will.
pub fn options(
    checkpoint: NativeCheckpoint,
    on_batch: OnBatch,
) -> Result<CheckpointOptions, Failure> {
    let (done, rest) = checkpoint.done.as_chunks();
    let (hashes, over) = checkpoint.hashes.as_chunks();
    if !rest.is_empty() || !over.is_empty() || done.len() != hashes.len() {
        let message =
            "keys of finished files have 16 bytes each, and there are as many hashes of 32";
        return Err(invalid(message));
    }
    Ok(CheckpointOptions {
        parts: records(checkpoint.parts)?,
        done: std::iter::zip(done, hashes)
            .map(|(key, hash)| (*key, *hash))
            .collect(),
        flush_bytes: checkpoint.flush_bytes as u64,
        flush: Duration::from_millis(checkpoint.flush_ms as u64),
        name_tag: Some(checkpoint.name_tag),
        placed_since_ns: (checkpoint.placed_since_ms >= 0.0)
            .then_some((checkpoint.placed_since_ms * 1e6) as i64),
        on_batch,
    })
}

/// Records of unfinished files.
fn records(parts: Vec<NativePart>) -> Result<Vec<PartRecord>, Failure> {
    parts.into_iter().map(part).collect()
}

fn part(p: NativePart) -> Result<PartRecord, Failure> {
    let key = FileKey::try_from(&*p.key).map_err(|_| invalid("the key of a part has 16 bytes"))?;
    Ok(PartRecord {
        key,
        target: p.target.to_vec(),
        size: p.size as u64,
        chunk_bytes: p.chunk_bytes.into(),
        temporary: p.temporary.to_vec(),
        device: p.device.get_u64().1,
        inode: p.inode.get_u64().1,
        birth_ns: p.birth_ns.get_i64().0,
        chunks: p.chunks.to_vec(),
    })
}

/// See `NativeEngine.removeParts` in src/native/types.ts.
#[napi(ts_return_type = "Promise<number>")]
pub fn remove_parts(
    env: Env,
    root: ClassInstance<'_, NativeRoot>,
    base: &[u8],
    exact_name: bool,
    parts: Vec<NativePart>,
) -> napi::Result<AsyncTask<Work<u32>>> {
    let (root, base) = (root.root(&env)?, base.to_vec());
    let parts = records(parts).map_err(|e| e.into_js(&env))?;
    Ok(work(move || {
        let removed = pb_io::recv::remove_parts(&root, (&base, exact_name), &parts)?;
        Ok(u32::try_from(removed).unwrap_or(u32::MAX))
    }))
}

fn invalid(message: &str) -> Failure {
    Failure::new(Code::InvalidArgument, message)
}
