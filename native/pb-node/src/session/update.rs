//! What JavaScript hears of jobs and sessions.

use napi::Status;
use napi::bindgen_prelude::{Function, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use pb_io::copies::Step;
use pb_io::job::{self, Counters, FileHash, JobError, Redone, State, Update, get};
use pb_io::transport::TransportError;
use pb_proto::sample::{LimitedBy, PathSample};

/// See `JobProgress` in src/native/types.ts; `kind` is "progress", "room", "ending" or "ended".
#[napi(object)]
pub struct NativeUpdate {
    pub kind: String,
    pub bytes: f64,
    pub total_bytes: f64,
    pub files: f64,
    pub total_files: f64,
    pub directories: f64,
    pub symlinks: f64,
    pub skipped_files: f64,
    pub skipped_bytes: f64,
    pub failed_files: f64,
    pub chunks_refetched: f64,
    pub removed_sources: f64,
    pub resumed_files: f64,
    pub resumed_bytes: f64,
    pub redone_files: f64,
    /// New since the last update.
    pub redone: Vec<NativeRedone>,
    /// New since the last update.
    pub errors: Vec<NativeJobError>,
    /// At the end: all of them, at most 1,000.
    pub all_errors: Vec<NativeJobError>,
    /// At the end: "done", "partial", "failed", "aborted".
    pub state: Option<String>,
    /// At the end: the first 1,000 files.
    pub hashes: Vec<NativeFileHash>,
}

#[napi(object)]
pub struct NativeJobError {
    pub code: String,
    pub path: Uint8Array,
    pub message: String,
}

/// See `RedoneFile` in src/native/types.ts.
#[napi(object)]
pub struct NativeRedone {
    pub path: Uint8Array,
    pub reason: String,
}

#[napi(object)]
pub struct NativeFileHash {
    pub path: Uint8Array,
    pub size: f64,
    pub blake3: Uint8Array,
}

/// Why a session ended; nothing when it was closed from here.
#[napi(object)]
pub struct NativeClosed {
    pub code: Option<String>,
    pub message: Option<String>,
}

impl NativeClosed {
    pub fn of(why: Option<TransportError>) -> NativeClosed {
        let (code, message) = why
            .map(|w| (w.code.as_str().to_string(), w.message))
            .unzip();
        NativeClosed { code, message }
    }
}

/// An update on its way to the JavaScript thread.
pub struct Raw {
    kind: &'static str,
    counters: [u64; 14],
    redone: Vec<(Vec<u8>, Redone)>,
    errors: Vec<JobError>,
    all_errors: Vec<JobError>,
    state: Option<State>,
    hashes: Vec<FileHash>,
}

type Call = ThreadsafeFunction<Raw, (), NativeUpdate, Status, false>;

/// A job's listener that calls a JavaScript function.
pub fn listener(function: &Function<'_, NativeUpdate, ()>) -> napi::Result<job::Listener> {
    let call: Call = function
        .build_threadsafe_function::<Raw>()
        .build_callback(|c| Ok(to_js(c.value)))?;
    Ok(Box::new(move |status, update| {
        let (kind, errors, state) = match update {
            Update::Progress(errors) => ("progress", errors, None),
            Update::Room => ("room", Vec::new(), None),
            Update::Ending => ("ending", Vec::new(), None),
            Update::Ended(state, errors) => ("ended", errors, Some(state)),
        };
        let ended = state.is_some();
        let raw = Raw {
            kind,
            counters: snapshot(&status.counters),
            redone: match kind {
                "progress" | "ended" => status.take_redone(),
                _ => Vec::new(),
            },
            errors,
            all_errors: if ended { status.errors() } else { Vec::new() },
            state,
            hashes: if ended { status.hashes() } else { Vec::new() },
        };
        call.call(raw, ThreadsafeFunctionCallMode::NonBlocking);
    }))
}

fn snapshot(c: &Counters) -> [u64; 14] {
    [
        get(&c.bytes),
        get(&c.total_bytes),
        get(&c.files),
        get(&c.total_files),
        get(&c.directories),
        get(&c.symlinks),
        get(&c.skipped_files),
        get(&c.skipped_bytes),
        get(&c.failed),
        get(&c.chunks_refetched),
        get(&c.removed_sources),
        get(&c.resumed_files),
        get(&c.resumed_bytes),
        get(&c.redone_files),
    ]
}

fn to_js(raw: Raw) -> NativeUpdate {
    let [
        bytes,
        total_bytes,
        files,
        total_files,
        directories,
        symlinks,
        skipped_files,
        skipped_bytes,
        failed_files,
        chunks_refetched,
        removed_sources,
        resumed_files,
        resumed_bytes,
        redone_files,
    ] = raw.counters.map(|n| n as f64);
    NativeUpdate {
        kind: raw.kind.to_string(),
        bytes,
        total_bytes,
        files,
        total_files,
        directories,
        symlinks,
        skipped_files,
        skipped_bytes,
        failed_files,
        chunks_refetched,
        removed_sources,
        resumed_files,
        resumed_bytes,
        redone_files,
        redone: raw.redone.into_iter().map(redone).collect(),
        errors: raw.errors.into_iter().map(error).collect(),
        all_errors: raw.all_errors.into_iter().map(error).collect(),
        state: raw.state.map(|s| state(s).to_string()),
        hashes: raw.hashes.into_iter().map(hash).collect(),
    }
}

fn error(e: JobError) -> NativeJobError {
    NativeJobError {
        code: e.code.as_str().to_string(),
        path: e.path.into(),
        message: e.message,
    }
}

fn redone((path, why): (Vec<u8>, Redone)) -> NativeRedone {
    NativeRedone {
        path: path.into(),
        reason: why.as_str().to_string(),
    }
}

fn hash(h: FileHash) -> NativeFileHash {
    NativeFileHash {
        path: h.path.into(),
        size: h.size as f64,
        blake3: h.hash.to_vec().into(),
    }
}

fn state(s: State) -> &'static str {
    match s {
        State::Done => "done",
        State::Partial => "partial",
        State::Failed => "failed",
        State::Aborted => "aborted",
    }
}

/// See `Copied` in src/native/types.ts.
#[napi(object)]
pub struct NativeCopied {
    pub step: String,
    pub bytes: f64,
}

pub fn copied(copies: Vec<(Step, u64)>) -> Vec<NativeCopied> {
    let native = |(step, bytes): (Step, u64)| NativeCopied {
        step: step.as_str().to_string(),
        bytes: bytes as f64,
    };
    copies.into_iter().map(native).collect()
}

/// See `LaneSample` in src/native/types.ts.
#[napi(object)]
pub struct NativeSample {
    pub lane: u32,
    pub min_rtt_ns: f64,
    pub smoothed_rtt_ns: f64,
    pub delivery_rate: f64,
    pub pacing_rate: f64,
    pub bytes_in_flight: f64,
    pub congestion_window: f64,
    pub packets_sent: f64,
    pub packets_received: f64,
    pub packets_lost: f64,
    pub packets_spuriously_lost: f64,
    pub packets_reordered: f64,
    pub bytes_sent: f64,
    pub bytes_received: f64,
    pub bytes_retransmitted: f64,
    pub bytes_probed: f64,
    pub path_rate: f64,
    pub warm: bool,
    pub peer_socket_drops: f64,
    pub ecn_ce: f64,
    pub datagram_size: f64,
    pub limited_by: String,
    pub application_ns: f64,
    pub congestion_ns: f64,
    pub receiver_ns: f64,
    pub pacing_ns: f64,
    pub cpu_ns: f64,
    pub phase: String,
}

pub fn sample(s: &PathSample) -> NativeSample {
    NativeSample {
        lane: u32::from(s.lane),
        min_rtt_ns: s.min_rtt_ns as f64,
        smoothed_rtt_ns: s.smoothed_rtt_ns as f64,
        delivery_rate: s.delivery_rate as f64,
        pacing_rate: s.pacing_rate as f64,
        bytes_in_flight: s.bytes_in_flight as f64,
        congestion_window: s.congestion_window as f64,
        packets_sent: s.packets_sent as f64,
        packets_received: s.packets_received as f64,
        packets_lost: s.packets_lost as f64,
        packets_spuriously_lost: s.packets_spuriously_lost as f64,
        packets_reordered: s.packets_reordered as f64,
        bytes_sent: s.bytes_sent as f64,
        bytes_received: s.bytes_received as f64,
        bytes_retransmitted: s.bytes_retransmitted as f64,
        bytes_probed: s.bytes_probed as f64,
        path_rate: s.path_rate as f64,
        warm: s.warm,
        peer_socket_drops: s.peer_socket_drops as f64,
        ecn_ce: s.ecn_ce as f64,
        datagram_size: f64::from(s.datagram_size),
        limited_by: limited_by(s.limited_by).to_string(),
        application_ns: s.limited.application_ns as f64,
        congestion_ns: s.limited.congestion_ns as f64,
        receiver_ns: s.limited.receiver_ns as f64,
        pacing_ns: s.limited.pacing_ns as f64,
        cpu_ns: s.limited.cpu_ns as f64,
        phase: s.phase.to_string(),
    }
}

fn limited_by(l: LimitedBy) -> &'static str {
    match l {
        LimitedBy::Application => "application",
        LimitedBy::Congestion => "congestion",
        LimitedBy::Receiver => "receiver",
        LimitedBy::Pacing => "pacing",
        LimitedBy::Cpu => "cpu",
    }
}
