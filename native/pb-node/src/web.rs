//! Content of web servers, and of FTP's data connections, that goes from the socket to the memory of a pump's calls, and from there to the socket (`pb_io::web`).

mod receive;
mod upload;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use napi::Status;
use napi::bindgen_prelude::{Buffer, Function, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use parking_lot::Mutex;
use pb_io::pump::{Memory, Pump, Reply};
use pb_io::web::{
    Answer, Asked, Broken, Came, Cancel, Client, Fetch, Head, Judge, Lot, Options, Origin, Outcome,
    Piece, Sums, Take, Trust, Want,
};

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
pub struct NativeAddress {
    pub tls: bool,
    pub host: String,
    pub port: u16,
}

/// In clear.
#[napi(object)]
pub struct NativeSmall {
    pub host: String,
    pub port: u16,
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Name and value in turn.
    pub headers: Vec<String>,
}

impl NativeSmall {
    fn asked(self) -> Asked {
        Asked {
            origin: Origin {
                tls: false,
                host: self.host,
                port: self.port,
            },
            method: self.method,
            target: self.target,
            headers: in_pairs(&self.headers),
        }
    }
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
    /// "head" (to be judged; more comes), "whole", "another", "filled", "rejected", "refused", "answered", "unsuited", "lost", "timeout", "cancelled"; of an upload's
    /// piece "taken" or "dropped" (more comes); "summed"; of a connection for data "connected", and of what is pulled from it "filled", "ended" (closed by the other side), "more" (than
    /// was to come), "lost", "timeout", "cancelled" (more comes); "closed" when all that was pulled is told
    pub kind: String,
    /// 0 where there is no answer.
    pub status: u16,
    /// Name and value in turn.
    pub headers: Vec<String>,
    /// What a server said about its refusal, or to what was sent; why it is not suited; CRC-32, big-endian, and SHA-256 where that was asked for.
    pub text: Option<Buffer>,
    /// Calls at the end of those that are not answered.
    pub left: u32,
}

/// What a fetch has come to.
enum News {
    Head(Head),
    /// To a small question, where it can be asked in this way.
    Small(Option<Answer>),
    /// What became of it, and how many calls are left.
    End(Outcome, usize),
    Connected,
    /// What became of what was pulled, and how many calls are left.
    Came(Came, usize),
    /// Nothing is pulled any more from what was connected.
    Closed,
    /// Has the connection taken a piece?
    Piece(bool),
    Sums(Sums),
}

type Hears = ThreadsafeFunction<(u32, News), (), NativeFetched, Status, false, true>;

/// A fetch or an upload that is under way.
struct Running {
    cancel: Option<Cancel>,
    next: Next,
    /// Of a fetch.
    filling: Option<Filling>,
}

/// Calls that are not answered, and the memory of those that are not begun.
#[derive(Clone)]
struct Filling {
    pump: Arc<Pump>,
    calls: Arc<Mutex<VecDeque<u32>>>,
    lot: Lot,
}

impl Filling {
    fn new(pump: Arc<Pump>, calls: Vec<u32>, memory: VecDeque<Memory>) -> Filling {
        Filling {
            pump,
            calls: Arc::new(Mutex::new(calls.into())),
            lot: Lot::new(memory),
        }
    }

    /// The rear half of those that are not begun, with their memory again.
    fn split(&self) -> Vec<u32> {
        let mut calls = self.calls.lock();
        let memory = self.lot.split();
        let at = calls.len() - memory.len();
        let taken: Vec<u32> = calls.split_off(at).into();
        give_back(&self.pump, &taken, memory);
        taken
    }

    /// What was not filled goes back to its calls. How many they are.
    fn end(&self, left: VecDeque<Memory>) -> usize {
        let count = left.len();
        give_back(&self.pump, self.calls.lock().make_contiguous(), left);
        count
    }
}

/// What it waits for.
enum Next {
    /// Is the head that was told the right one?
    Verdict(Sender<bool>),
    Pieces(Sender<Piece>),
    Wants(Sender<Want>),
    Nothing,
}

/// Fetches and uploads, each with a number of the caller's.
#[napi]
pub struct NativeFetcher {
    client: Mutex<Option<Client>>,
    hears: Arc<Hears>,
    running: Arc<Mutex<HashMap<u32, Running>>>,
}

#[napi]
impl NativeFetcher {
    #[napi(constructor)]
    pub fn new(
        options: NativeFetcherOptions,
        hears: Function<'_, NativeFetched, ()>,
    ) -> napi::Result<NativeFetcher> {
        let hears = hears
            .build_threadsafe_function::<(u32, News)>()
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

    /// False: a call is over, or has no memory to fill; or the fetcher is closed. Else `hears` is told the head of the answer, and waits for `judge`; and
    /// what becomes of it. Calls are answered as they are filled.
    #[napi]
    pub fn fetch(&self, number: u32, pump: &NativePump, wanted: NativeFetch) -> bool {
        let client = self.client.lock();
        let Some(client) = client.as_ref() else {
            return false;
        };
        let Some(memory) = lend(&pump.pump, &wanted.calls) else {
            return false;
        };
        let filling = Filling::new(Arc::clone(&pump.pump), wanted.calls, memory);
        let (verdict, verdicts) = bounded(1);
        self.begin(number, Next::Verdict(verdict), Some(filling.clone()));
        let fetch = Fetch {
            asked: Asked {
                origin: Origin {
                    tls: wanted.tls,
                    host: wanted.host,
                    port: wanted.port,
                },
                method: "GET".into(),
                target: wanted.target,
                headers: in_pairs(&wanted.headers),
            },
            status: wanted.status,
            memory: filling.lot.clone(),
            judge: self.judge_by(number, verdicts),
            take: taker(&filling.pump, Arc::clone(&filling.calls)),
        };
        let cancel = self.start(number, client, fetch, filling);
        self.cancel_by(number, cancel);
        true
    }

    /// Fills the memory of a call with all of a small file; the call is not answered by it. `hears` is told "whole" with the head; "answered" with
    /// what else the server says; or "another": to be asked in another way. False: the call is over, or the fetcher is closed.
    #[napi]
    pub fn small(&self, number: u32, pump: &NativePump, call: u32, wanted: NativeSmall) -> bool {
        let client = self.client.lock();
        let Some(client) = client.as_ref() else {
            return false;
        };
        let pump = Arc::clone(&pump.pump);
        let Some(memory) = pump.lend(call) else {
            return false;
        };
        let hears = Arc::clone(&self.hears);
        client.small(
            wanted.asked(),
            (Vec::new(), memory),
            move |answer, memory| {
                pump.give_back(call, memory);
                let news = (number, News::Small(answer));
                hears.call(news, ThreadsafeFunctionCallMode::NonBlocking);
            },
        );
        true
    }

    /// Asks what may be asked twice. `hears` is told "answered", whatever the server said, or "another": to be asked in another way. False: the fetcher is closed.
    #[napi]
    pub fn exchange(&self, number: u32, wanted: NativeSmall, body: Option<Uint8Array>) -> bool {
        let client = self.client.lock();
        let Some(client) = client.as_ref() else {
            return false;
        };
        let hears = Arc::clone(&self.hears);
        let body = body.map_or_else(Vec::new, |body| body.to_vec());
        client.small(wanted.asked(), (body, Memory::None), move |answer, _| {
            let news = (number, News::Small(answer));
            hears.call(news, ThreadsafeFunctionCallMode::NonBlocking);
        });
        true
    }

    /// Opens connections ahead, up to so many that wait.
    #[napi]
    pub fn warm(&self, address: NativeAddress, connections: u32) {
        let NativeAddress { tls, host, port } = address;
        if let Some(client) = self.client.lock().as_ref() {
            client.warm(&Origin { tls, host, port }, connections as usize);
        }
    }

    /// Of a fetch: calls whose memory nobody has begun to fill.
    #[napi]
    pub fn left(&self, number: u32) -> u32 {
        let running = self.running.lock();
        let filling = running.get(&number).and_then(|r| r.filling.as_ref());
        filling.map_or(0, |f| u32::try_from(f.lot.left()).unwrap_or(u32::MAX))
    }

    /// The rear half of those, which the fetch gives up; it ends before them.
    #[napi]
    pub fn split(&self, number: u32) -> Vec<u32> {
        let running = self.running.lock();
        let filling = running.get(&number).and_then(|r| r.filling.as_ref());
        filling.map_or_else(Vec::new, Filling::split)
    }

    /// Says whether the head that was told is the right one.
    #[napi]
    pub fn judge(&self, number: u32, is_right: bool) {
        if let Some(running) = self.running.lock().get(&number) {
            running.judge(is_right);
        }
    }

    /// It ends soon, if it has not.
    #[napi]
    pub fn cancel(&self, number: u32) {
        if let Some(running) = self.running.lock().get_mut(&number) {
            running.end();
        }
    }

    /// Ends what is under way, and lets go of connections. Idempotent.
    #[napi]
    pub fn close(&self) {
        self.client.lock().take();
        for running in self.running.lock().values_mut() {
            running.end();
        }
    }
}

impl Running {
    fn judge(&self, is_right: bool) {
        if let Next::Verdict(verdict) = &self.next {
            // It is asked once; a second word finds nobody.
            _ = verdict.try_send(is_right);
        }
    }

    fn end(&mut self) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
        self.judge(false);
        self.next = Next::Nothing;
    }
}

impl NativeFetcher {
    fn begin(&self, number: u32, next: Next, filling: Option<Filling>) {
        let running = Running {
            cancel: None,
            next,
            filling,
        };
        self.running.lock().insert(number, running);
    }

    /// Where it is not over by now.
    fn cancel_by(&self, number: u32, cancel: Cancel) {
        if let Some(running) = self.running.lock().get_mut(&number) {
            running.cancel = Some(cancel);
        }
    }

    fn start(&self, number: u32, client: &Client, fetch: Fetch, filling: Filling) -> Cancel {
        let hears = Arc::clone(&self.hears);
        let running = Arc::clone(&self.running);
        client.fetch(fetch, move |outcome, left| {
            let count = filling.end(left);
            running.lock().remove(&number);
            let news = (number, News::End(outcome, count));
            hears.call(news, ThreadsafeFunctionCallMode::NonBlocking);
        })
    }

    /// Tells JavaScript of the head, and waits for its word.
    fn judge_by(&self, number: u32, verdicts: Receiver<bool>) -> Judge {
        let hears = Arc::clone(&self.hears);
        Box::new(move |head| {
            let news = (number, News::Head(head.clone()));
            let told = hears.call(news, ThreadsafeFunctionCallMode::NonBlocking);
            told == Status::Ok && verdicts.recv().unwrap_or(false)
        })
    }
}

/// Answers the calls in turn, each with its memory.
fn taker(pump: &Arc<Pump>, calls: Arc<Mutex<VecDeque<u32>>>) -> Take {
    let pump = Arc::clone(pump);
    Box::new(move |memory| {
        let call = calls.lock().pop_front();
        if let Some(call) = call {
            pump.give_back(call, memory);
            pump.answer(call, Ok(Reply::Done));
        }
    })
}

fn lend(pump: &Pump, calls: &[u32]) -> Option<VecDeque<Memory>> {
    let mut lent = VecDeque::with_capacity(calls.len());
    for &call in calls {
        let Some(memory) = pump.lend(call) else {
            give_back(pump, calls, lent);
            return None;
        };
        lent.push_back(memory);
    }
    Some(lent)
}

fn give_back(pump: &Pump, calls: &[u32], left: VecDeque<Memory>) {
    for (&call, memory) in calls.iter().zip(left) {
        pump.give_back(call, memory);
    }
}

/// From names and values in turn.
fn in_pairs(headers: &[String]) -> Vec<(String, String)> {
    let (pairs, _) = headers.as_chunks::<2>();
    pairs.iter().map(|[n, v]| (n.clone(), v.clone())).collect()
}

/// What nobody asks of a small file: JavaScript would make two strings of each.
const OF_THE_SERVER: [&str; 7] = [
    "accept-ranges",
    "connection",
    "content-type",
    "date",
    "keep-alive",
    "server",
    "vary",
];

fn to_js((number, news): (u32, News)) -> NativeFetched {
    let nothing = (None, Vec::new());
    let (outcome, left) = match news {
        News::Small(Some(answer)) => {
            let (kind, mut head) = match answer.is_content {
                true => ("whole", answer.head),
                false => ("answered", answer.head),
            };
            head.headers
                .retain(|(name, _)| !OF_THE_SERVER.contains(&name.as_str()));
            return fetched((number, 0), kind, (Some(head), answer.text));
        }
        News::Small(None) => return fetched((number, 0), "another", nothing),
        News::Head(head) => return fetched((number, 0), "head", (Some(head), Vec::new())),
        News::Connected => return fetched((number, 0), "connected", nothing),
        News::Came(came, left) => return fetched((number, left), word_of(came), nothing),
        News::Closed => return fetched((number, 0), "closed", nothing),
        News::Piece(true) => return fetched((number, 0), "taken", nothing),
        News::Piece(false) => return fetched((number, 0), "dropped", nothing),
        News::Sums(Sums { crc32, sha256 }) => {
            let sums = [&crc32.to_be_bytes(), sha256.as_deref().unwrap_or(&[])].concat();
            return fetched((number, 0), "summed", (None, sums));
        }
        News::End(outcome, left) => (outcome, left),
    };
    let (kind, head, text) = match outcome {
        Outcome::Filled => ("filled", None, Vec::new()),
        Outcome::Rejected => ("rejected", None, Vec::new()),
        Outcome::Refused(head, text) => ("refused", Some(head), text),
        Outcome::Answered(head, text) => ("answered", Some(head), text),
        Outcome::Unsuited(why) => ("unsuited", None, why.into_bytes()),
        Outcome::Broken(broken) => (word_of(Came::Broken(broken)), None, Vec::new()),
    };
    fetched((number, left), kind, (head, text))
}

fn word_of(came: Came) -> &'static str {
    match came {
        Came::Filled => "filled",
        Came::Ended => "ended",
        Came::More => "more",
        Came::Broken(Broken::Lost) => "lost",
        Came::Broken(Broken::TimedOut) => "timeout",
        Came::Broken(Broken::Cancelled) => "cancelled",
    }
}

fn fetched(
    (number, left): (u32, usize),
    kind: &str,
    (head, text): (Option<Head>, Vec<u8>),
) -> NativeFetched {
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
        text: (!text.is_empty()).then(|| text.into()),
        left: u32::try_from(left).unwrap_or(u32::MAX),
    }
}
