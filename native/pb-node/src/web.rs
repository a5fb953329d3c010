//! Content of web servers that goes from the socket to the memory of a pump's calls (`pb_io::web`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use napi::Status;
use napi::bindgen_prelude::{Buffer, Function, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use parking_lot::Mutex;
use pb_io::pump::{Memory, Pump};
use pb_io::web::{Broken, Cancel, Client, Fetch, Head, Options, Origin, Outcome, Trust};

use crate::session::pump::NativePump;

#[napi(object)]
pub struct NativeFetcherOptions {
    pub connect_ms: u32,
    pub head_ms: u32,
    pub body_ms: u32,
    /// Connections to one server that are kept.
    pub idle: u32,
    /// PEM.
    pub authorities: Uint8Array,
}

#[napi(object)]
pub struct NativeFetch {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// Path and query.
    pub target: String,
    /// Name and value in turn.
    pub headers: Vec<String>,
    /// With which the content is what is wanted.
    pub status: u16,
    /// Calls whose memory is filled in turn.
    pub calls: Vec<u32>,
}

/// See `Fetcher` in src/native/fetch.ts.
#[napi(object)]
pub struct NativeFetched {
    pub number: u32,
    /// "filled", "refused", "unsuited", "lost", "timeout", "cancelled"
    pub kind: String,
    /// 0 where there is no answer.
    pub status: u16,
    /// Name and value in turn.
    pub headers: Vec<String>,
    /// What a server said about its refusal; why it is not suited.
    pub text: Buffer,
}

type Hears = ThreadsafeFunction<(u32, Outcome), (), NativeFetched, Status, false, true>;

/// Fetches, each with a number of the caller's.
#[napi]
pub struct NativeFetcher {
    client: Mutex<Option<Client>>,
    hears: Arc<Hears>,
    running: Arc<Mutex<HashMap<u32, Cancel>>>,
}

#[napi]
impl NativeFetcher {
    #[napi(constructor)]
    pub fn new(
        options: NativeFetcherOptions,
        hears: Function<'_, NativeFetched, ()>,
    ) -> napi::Result<NativeFetcher> {
        let hears = hears
            .build_threadsafe_function::<(u32, Outcome)>()
            .weak::<true>()
            .build_callback(|c| Ok(to_js(c.value)))?;
        let ms = |ms: u32| Duration::from_millis(u64::from(ms.max(1)));
        let trust = Trust::new(options.authorities.to_vec());
        let options = Options {
            connect: ms(options.connect_ms),
            head: ms(options.head_ms),
            body: ms(options.body_ms),
            idle: options.idle as usize,
        };
        Ok(NativeFetcher {
            client: Mutex::new(Some(Client::new(options, trust))),
            hears: Arc::new(hears),
            running: Arc::default(),
        })
    }

    /// False: a call is over, or has no memory to fill; or the fetcher is closed. Else `hears` is told what becomes of it.
    #[napi]
    pub fn fetch(&self, number: u32, pump: &NativePump, wanted: NativeFetch) -> bool {
        let client = self.client.lock();
        let Some(client) = client.as_ref() else {
            return false;
        };
        let pump = Arc::clone(&pump.pump);
        let calls = wanted.calls;
        let Some(memory) = lend(&pump, &calls) else {
            return false;
        };
        let (pairs, _) = wanted.headers.as_chunks::<2>();
        let fetch = Fetch {
            origin: Origin {
                tls: wanted.tls,
                host: wanted.host,
                port: wanted.port,
            },
            target: wanted.target,
            headers: pairs.iter().map(|[n, v]| (n.clone(), v.clone())).collect(),
            status: wanted.status,
            memory,
        };
        let hears = Arc::clone(&self.hears);
        let running = Arc::clone(&self.running);
        // It may have ended before it is entered.
        let mut entered = self.running.lock();
        let cancel = client.fetch(fetch, move |outcome, memory| {
            give_back(&pump, &calls, memory);
            running.lock().remove(&number);
            hears.call((number, outcome), ThreadsafeFunctionCallMode::NonBlocking);
        });
        entered.insert(number, cancel);
        true
    }

    /// It ends soon, if it has not.
    #[napi]
    pub fn cancel(&self, number: u32) {
        let cancel = self.running.lock().get(&number).cloned();
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
    }

    /// Ends what is under way, and lets go of connections. Idempotent.
    #[napi]
    pub fn close(&self) {
        self.client.lock().take();
        let running: Vec<Cancel> = self.running.lock().values().cloned().collect();
        for cancel in running {
            cancel.cancel();
        }
    }
}

fn lend(pump: &Pump, calls: &[u32]) -> Option<Vec<Memory>> {
    let mut lent = Vec::with_capacity(calls.len());
    for &call in calls {
        let Some(memory) = pump.lend(call) else {
            give_back(pump, calls, lent);
            return None;
        };
        lent.push(memory);
    }
    Some(lent)
}

fn give_back(pump: &Pump, calls: &[u32], lent: Vec<Memory>) {
    for (&call, memory) in calls.iter().zip(lent) {
        pump.give_back(call, memory);
    }
}

fn to_js((number, outcome): (u32, Outcome)) -> NativeFetched {
    let (kind, head, text) = match outcome {
        Outcome::Filled(head) => ("filled", Some(head), Vec::new()),
        Outcome::Refused(head, text) => ("refused", Some(head), text),
        Outcome::Unsuited(why) => ("unsuited", None, why.into_bytes()),
        Outcome::Broken(Broken::Lost) => ("lost", None, Vec::new()),
        Outcome::Broken(Broken::TimedOut) => ("timeout", None, Vec::new()),
        Outcome::Broken(Broken::Cancelled) => ("cancelled", None, Vec::new()),
    };
    let (status, headers) = head.map_or((0, Vec::new()), |Head { status, headers }| {
        (
            status,
            headers.into_iter().flat_map(|(n, v)| [n, v]).collect(),
        )
    });
    NativeFetched {
        number,
        kind: kind.to_string(),
        status,
        headers,
        text: text.into(),
    }
}
