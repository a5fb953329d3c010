//! Sessions, their jobs, and the port they come in by. Typed for the rest of the house in src/native/types.ts.

pub mod checkpoint;
pub mod job;
pub mod listen;
mod options;
mod pack;
pub mod pump;
mod trace;
mod update;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{AsyncTask, BigInt, ClassInstance, Function, Uint8Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use parking_lot::Mutex;
use pb_io::error::Code;
use pb_io::session::{Accepts, Session, SessionOptions, join};
use pb_io::transport::LaneSet;
use pb_io::transport::connect::{Connected, connect};
use pb_io::transport::{TransportError, TransportKind};

use crate::error::Failure;
use crate::fs::NativeRoot;
use crate::work::{Work, work};
use checkpoint::NativeBatch;
pub use job::{NativeAccepts, NativePumpedReceiveJob, NativeReceiveJob, NativeSendJob};
pub use listen::NativeListener;
use options::{NativePumpedOptions, NativeReceiveOptions, NativeSendOptions, NativeSessionOptions};
use pump::NativeAsk;
use trace::{NativeTrace, trace};
use update::{NativeClosed, NativeCopied, NativeSample, NativeUpdate, sample};

/// Time for what is queued to leave when a session is closed.
const DRAIN: Duration = Duration::from_secs(5);

/// One end of a session.
#[napi]
pub struct NativeSession {
    session: Arc<Session>,
    lanes: Arc<Mutex<Option<Arc<LaneSet>>>>,
    /// Of the lanes also while they are being closed.
    ending: Weak<LaneSet>,
    transport: Option<TransportKind>,
    note: Option<String>,
}

impl NativeSession {
    pub(crate) fn new(
        session: Arc<Session>,
        lanes: Option<LaneSet>,
        transport: Option<TransportKind>,
    ) -> NativeSession {
        let lanes = lanes.map(Arc::new);
        NativeSession {
            session,
            ending: lanes.as_ref().map(Arc::downgrade).unwrap_or_default(),
            lanes: Arc::new(Mutex::new(lanes)),
            transport,
            note: None,
        }
    }
}

impl From<TransportError> for Failure {
    fn from(e: TransportError) -> Failure {
        Failure::new(e.code, e.message)
    }
}

pub(crate) fn new_session(options: &NativeSessionOptions) -> Result<Arc<Session>, Failure> {
    let limit = options.limit_bytes_per_second as u64;
    let all = SessionOptions {
        memory: options.memory_bytes as u64,
        limit,
        seal: options.seal,
    };
    let session = Session::new(all)
        .map_err(|e| Failure::new(Code::ResourceExhausted, format!("a session's threads: {e}")))?;
    if options.all_lanes == Some(true) {
        session.use_all_lanes();
    }
    if options.trace == Some(true) {
        session.start_trace();
    }
    Ok(session)
}

/// Opens the lanes of a session to a server; `address` is IP:PORT. `transport`: "auto", "udp", "tcp".
#[napi(ts_return_type = "Promise<NativeSession>")]
pub fn connect_session(
    address: String,
    connection_id: BigInt,
    client_random: Uint8Array,
    server_random: Uint8Array,
    options: NativeSessionOptions,
) -> AsyncTask<Work<NativeSession>> {
    let keys = options::keys(
        &connection_id,
        &client_random,
        &server_random,
        options.suite,
    );
    work(move || {
        let peer: SocketAddr = address.parse().map_err(|_| {
            Failure::new(Code::InvalidArgument, format!("{address} is not IP:PORT"))
        })?;
        let session = new_session(&options)?;
        let host = Arc::clone(&session);
        let lanes = options::lanes(&options)?;
        let connected = connect(
            peer,
            &keys?,
            &lanes,
            options::choice(&options.transport)?,
            host,
        );
        let Connected {
            transport,
            note,
            lanes,
        } = connected.inspect_err(|_| session.end(None))?;
        let mut native = NativeSession::new(session, Some(lanes), Some(transport));
        native.note = note;
        Ok(native)
    })
}

/// Two ends within this process.
#[napi]
pub fn pair_sessions(env: Env, options: NativeSessionOptions) -> napi::Result<Vec<NativeSession>> {
    let make = || -> Result<Vec<NativeSession>, Failure> {
        let (a, b) = (new_session(&options)?, new_session(&options)?);
        join(&a, &b).map_err(|e| Failure::new(Code::ResourceExhausted, e.to_string()))?;
        let memory = Some(TransportKind::Memory);
        Ok(vec![
            NativeSession::new(a, None, memory),
            NativeSession::new(b, None, memory),
        ])
    };
    make().map_err(|e| e.into_js(&env))
}

#[napi]
impl NativeSession {
    /// "udp", "tcp", "memory"; `null` on a server, where the client chooses.
    #[napi(getter)]
    pub fn transport(&self) -> Option<&'static str> {
        self.transport.map(TransportKind::as_str)
    }

    #[napi(getter)]
    pub fn note(&self) -> Option<String> {
        self.note.clone()
    }

    /// The newest sample of each lane.
    #[napi]
    pub fn samples(&self) -> Vec<NativeSample> {
        self.session.samples().iter().map(sample).collect()
    }

    /// Payload bytes that were copied since the last call, by step.
    #[napi]
    pub fn take_copied(&self) -> Vec<NativeCopied> {
        update::copied(self.session.take_copies())
    }

    /// What the lanes went through since the last call, in a session that is traced.
    #[napi]
    pub fn take_trace(&self) -> NativeTrace {
        trace(&self.session)
    }

    /// Starts a sending job; `listener` hears of it at most ten times a second, and of its end.
    #[napi]
    pub fn send(
        &self,
        env: Env,
        options: NativeSendOptions,
        roots: Vec<ClassInstance<'_, NativeRoot>>,
        listener: Function<'_, NativeUpdate, ()>,
    ) -> napi::Result<NativeSendJob> {
        let roots = roots
            .iter()
            .map(|r| r.root(&env))
            .collect::<napi::Result<Vec<_>>>()?;
        let listener = update::listener(&listener)?;
        let from = job::Sources::Roots(roots);
        job::start_send(&self.session, options, from, listener).map_err(|e| e.into_js(&env))
    }

    /// Starts a receiving job below `root`. With `options.checkpoint` `on_batch` hears what became durable.
    #[napi]
    pub fn receive(
        &self,
        env: Env,
        options: NativeReceiveOptions,
        root: ClassInstance<'_, NativeRoot>,
        listener: Function<'_, NativeUpdate, ()>,
        on_batch: Option<Function<'_, NativeBatch, ()>>,
    ) -> napi::Result<NativeReceiveJob> {
        let root = root.root(&env)?;
        let listener = update::listener(&listener)?;
        let on_batch = on_batch
            .map(|call| checkpoint::on_batch(&call))
            .transpose()?;
        job::start_receive(&self.session, options, root, (listener, on_batch))
            .map_err(|e| e.into_js(&env))
    }

    /// The peer's receiving job is ready, as was heard elsewhere than on the session.
    #[napi]
    pub fn accepted(&self, job: u32, accepts: NativeAccepts) {
        let NativeAccepts { push, dense } = accepts;
        self.session.accepted(job, Accepts { push, dense });
    }

    /// Starts a sending job whose sources JavaScript reads: `hears` is told what to read, and answers by the job's `pump()`.
    #[napi]
    pub fn send_pumped(
        &self,
        env: Env,
        options: NativeSendOptions,
        listener: Function<'_, NativeUpdate, ()>,
        hears: Function<'_, NativeAsk, ()>,
    ) -> napi::Result<NativeSendJob> {
        let listener = update::listener(&listener)?;
        let from = job::Sources::Pump(pump::pump(&hears)?);
        job::start_send(&self.session, options, from, listener).map_err(|e| e.into_js(&env))
    }

    /// Starts a receiving job whose files JavaScript writes.
    #[napi]
    pub fn receive_pumped(
        &self,
        env: Env,
        options: NativePumpedOptions,
        listener: Function<'_, NativeUpdate, ()>,
        hears: Function<'_, NativeAsk, ()>,
        on_batch: Function<'_, NativeBatch, ()>,
    ) -> napi::Result<NativePumpedReceiveJob> {
        let listener = update::listener(&listener)?;
        let pump = pump::pump(&hears)?;
        let on_batch = checkpoint::on_batch(&on_batch)?;
        job::start_pumped(&self.session, options, pump, (listener, on_batch))
            .map_err(|e| e.into_js(&env))
    }

    /// `listener` hears once why the session ended: `{code, message}`, or both null after `close()`.
    #[napi]
    pub fn on_close(&self, listener: Function<'_, NativeClosed, ()>) -> napi::Result<()> {
        let call = listener
            .build_threadsafe_function::<NativeClosed>()
            .weak::<true>()
            .build_callback(|c| Ok(c.value))?;
        self.session.on_close(Box::new(move |why| {
            call.call(
                NativeClosed::of(why),
                ThreadsafeFunctionCallMode::NonBlocking,
            );
        }));
        Ok(())
    }

    /// Ends the session: at once when a job still runs or the peer has everything, else when what is queued has left. Nobody
    /// waits for the peer to say that it knows of the end. Idempotent.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<Work<()>> {
        let (session, lanes) = (Arc::clone(&self.session), Arc::clone(&self.lanes));
        work(move || {
            let lanes = lanes.lock().take();
            if let Some(lanes) = &lanes
                && !session.has_ended()
                && !session.is_busy()
            {
                match session.is_settled() {
                    true => lanes.leave(),
                    false => _ = lanes.finish(DRAIN),
                }
            }
            session.end(None);
            Ok(())
        })
    }

    /// A close that waits for the peer waits no longer: the peer has ended the session, or nobody is there.
    #[napi]
    pub fn abandon(&self) {
        if let Some(lanes) = self.ending.upgrade() {
            lanes.leave_at_once();
        }
    }
}

impl Drop for NativeSession {
    fn drop(&mut self) {
        self.session.end(None);
    }
}
