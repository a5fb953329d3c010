//! Options as JavaScript gives them.

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use pb_io::error::Code;
use pb_io::session::LONG_PATH;
use pb_io::transport::crypto::{SessionKeys, Suite};
use pb_io::transport::{Choice, LaneOptions};
use pb_proto::cc::ControllerKind;
use pb_proto::lane::PathHint;

use super::checkpoint::NativeCheckpoint;
use crate::error::Failure;

/// See `SessionOptions` in src/native/types.ts.
#[napi(object)]
pub struct NativeSessionOptions {
    pub seal: bool,
    pub lanes: u32,
    pub memory_bytes: f64,
    pub limit_bytes_per_second: f64,
    /// "", "bbr", "cubic"
    pub controller: String,
    /// "auto", "udp", "tcp"
    pub transport: String,
    /// 1 AES-128-GCM, 2 ChaCha20-Poly1305
    pub suite: u32,
    /// Keep what the lanes go through, for `takeTrace`.
    pub trace: Option<bool>,
    /// All lanes work from the start, on long paths too.
    pub all_lanes: Option<bool>,
    /// What is remembered of the path: round trip, ns, and what all lanes together carried, bytes per second.
    pub remembered: Option<NativePathMemory>,
}

/// See `PathMemory` in src/native/types.ts.
#[napi(object)]
pub struct NativePathMemory {
    pub min_rtt_ns: f64,
    pub rate_bytes_per_second: f64,
}

/// See `SendJobOptions`.
#[napi(object)]
pub struct NativeSendOptions {
    pub job: u32,
    pub chunk_bytes: u32,
    pub parallel_files: u32,
    pub follow: bool,
    pub remove_sources: bool,
    pub manifest_file: Option<String>,
}

/// See `PumpedReceiveOptions`.
#[napi(object, object_to_js = false)]
pub struct NativePumpedOptions {
    pub job: u32,
    pub exact_name: bool,
    pub push: bool,
    pub manifest_file: Option<String>,
    pub checkpoint: Option<NativeCheckpoint>,
}

/// See `ReceiveJobOptions`.
#[napi(object, object_to_js = false)]
pub struct NativeReceiveOptions {
    pub job: u32,
    pub base: napi::bindgen_prelude::Uint8Array,
    pub exact_name: bool,
    /// "always", "if-newer", "if-different", "never"
    pub overwrite: String,
    pub fsync: bool,
    pub perms: bool,
    pub owner: bool,
    pub manifest_file: Option<String>,
    pub destination_fd: Option<i32>,
    /// Verify everything, write nothing.
    pub discard: Option<bool>,
    /// Read each file again before it gets its name.
    pub reread: Option<bool>,
    pub checkpoint: Option<NativeCheckpoint>,
}

fn invalid(message: String) -> Failure {
    Failure::new(Code::InvalidArgument, message)
}

pub fn keys(id: &BigInt, client: &[u8], server: &[u8], suite: u32) -> Result<SessionKeys, Failure> {
    let random = |bytes: &[u8]| {
        <[u8; 32]>::try_from(bytes).map_err(|_| invalid("random values have 32 bytes".into()))
    };
    let suite = match suite {
        1 => Suite::Aes128Gcm,
        2 => Suite::ChaCha20Poly1305,
        other => return Err(invalid(format!("unknown AEAD suite {other}"))),
    };
    Ok(SessionKeys {
        connection_id: id.get_u64().1,
        client_random: random(client)?,
        server_random: random(server)?,
        suite,
    })
}

pub fn lanes(options: &NativeSessionOptions) -> Result<LaneOptions, Failure> {
    let controller = match options.controller.as_str() {
        "" => ControllerKind::default(),
        "bbr" => ControllerKind::Bbr,
        "cubic" => ControllerKind::Cubic,
        "ledbat" => ControllerKind::Ledbat,
        other => {
            return Err(invalid(format!(
                "unknown congestion controller \"{other}\": use bbr, cubic or ledbat"
            )));
        }
    };
    let lanes = u8::try_from(options.lanes)
        .map_err(|_| invalid(format!("{} lanes are too many", options.lanes)))?;
    let at_work = |min_rtt| match min_rtt < LONG_PATH || options.all_lanes == Some(true) {
        true => u64::from(lanes.max(1)),
        false => 1,
    };
    let path_hint = options.remembered.as_ref().map(|path| PathHint {
        min_rtt: path.min_rtt_ns as u64,
        rate: path.rate_bytes_per_second as u64 / at_work(path.min_rtt_ns as u64),
    });
    Ok(LaneOptions {
        seal: options.seal,
        lanes,
        controller,
        path_hint,
        ..LaneOptions::default()
    })
}

pub fn choice(text: &str) -> Result<Choice, Failure> {
    match text {
        "auto" => Ok(Choice::Auto),
        "udp" => Ok(Choice::Udp),
        "tcp" => Ok(Choice::Tcp),
        other => Err(invalid(format!(
            "unknown transport \"{other}\": use auto, udp or tcp"
        ))),
    }
}
