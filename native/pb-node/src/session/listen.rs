//! The port that sessions come in by.

use std::net::SocketAddr;
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{BigInt, FnArgs, Function, Uint8Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use parking_lot::Mutex;
use pb_io::error::Code;
use pb_io::transport::listener::Listener;

use super::options::{self, NativeSessionOptions};
use super::{NativeSession, new_session};
use crate::error::Failure;

/// A bound port.
#[napi]
pub struct NativeListener {
    listener: Mutex<Option<Listener>>,
    local: SocketAddr,
}

/// Binds IP:PORT for UDP and TCP; TCP connections that are no lanes go to `on_stream(fd, peer)`, which owns the descriptor.
#[napi]
pub fn listen_sessions(
    env: Env,
    address: String,
    on_stream: Function<'_, FnArgs<(i32, String)>, ()>,
) -> napi::Result<NativeListener> {
    let call = on_stream
        .build_threadsafe_function::<(i32, String)>()
        .build_callback(|c| Ok(FnArgs::from(c.value)))?;
    let bind = || -> Result<NativeListener, Failure> {
        let addr: SocketAddr = address.parse().map_err(|_| {
            Failure::new(Code::InvalidArgument, format!("{address} is not IP:PORT"))
        })?;
        let hand_over = move |fd: std::os::fd::OwnedFd, peer: SocketAddr| {
            call.call(
                (fd.into_raw_fd(), peer.to_string()),
                ThreadsafeFunctionCallMode::NonBlocking,
            );
        };
        let listener = Listener::bind(addr, Box::new(hand_over))?;
        let local = listener.local_addr();
        Ok(NativeListener {
            listener: Mutex::new(Some(listener)),
            local,
        })
    };
    bind().map_err(|e| e.into_js(&env))
}

#[napi]
impl NativeListener {
    #[napi(getter)]
    pub fn host(&self) -> String {
        self.local.ip().to_string()
    }

    #[napi(getter)]
    pub fn port(&self) -> u32 {
        u32::from(self.local.port())
    }

    /// Prepares a session whose lanes the peer opens.
    #[napi]
    pub fn register(
        &self,
        env: Env,
        connection_id: BigInt,
        client_random: Uint8Array,
        server_random: Uint8Array,
        options: NativeSessionOptions,
    ) -> napi::Result<NativeSession> {
        let make = || -> Result<NativeSession, Failure> {
            let keys = options::keys(
                &connection_id,
                &client_random,
                &server_random,
                options.suite,
            )?;
            let session = new_session(&options)?;
            let lanes = options::lanes(&options)?;
            let guard = self.listener.lock();
            let listener = guard
                .as_ref()
                .ok_or_else(|| Failure::new(Code::Aborted, "the server is closing"))?;
            let host = Arc::clone(&session);
            let lanes = listener
                .register(&keys, &lanes, host)
                .inspect_err(|_| session.end(None))?;
            Ok(NativeSession::new(session, Some(lanes), None))
        };
        make().map_err(|e| e.into_js(&env))
    }

    /// Stops accepting. Idempotent.
    #[napi]
    pub fn close(&self) {
        self.listener.lock().take();
    }
}
