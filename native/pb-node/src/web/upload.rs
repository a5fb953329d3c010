//! Uploads: the memory of calls that are to be written, and their sums.

use std::sync::Arc;

use crossbeam_channel::bounded;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use pb_io::pump::{Memory, Pump};
use pb_io::web::{Asked, Body, Origin, Piece, Upload, sums};

use super::{NativeFetcher, News, Next, give_back, in_pairs};
use crate::session::pump::NativePump;

/// Pieces that wait for the one before them: who sends them waits for each.
const PIECES: usize = 1;

#[napi(object)]
pub struct NativeUpload {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Name and value in turn.
    pub headers: Vec<String>,
}

#[napi]
impl NativeFetcher {
    /// `hears` is told "summed", with the sums of what the calls are to write. False: one of them is over, or the fetcher is closed.
    #[napi]
    pub fn sum(&self, number: u32, pump: &NativePump, calls: Vec<u32>, with_sha256: bool) -> bool {
        let client = self.client.lock();
        let (Some(client), Some(content)) = (client.as_ref(), Content::lend(&pump.pump, calls))
        else {
            return false;
        };
        let hears = Arc::clone(&self.hears);
        client.run(move || {
            let sums = sums(&content.memory, with_sha256);
            drop(content);
            let news = (number, News::Sums(sums));
            hears.call(news, ThreadsafeFunctionCallMode::NonBlocking);
        });
        true
    }

    /// Sends what the calls are to write; they are not answered by it. False: one of them is over, or the fetcher is closed.
    #[napi]
    pub fn upload(
        &self,
        number: u32,
        pump: &NativePump,
        calls: Vec<u32>,
        wanted: NativeUpload,
    ) -> bool {
        let Some(mut content) = Content::lend(&pump.pump, calls) else {
            return false;
        };
        let body = Body::Whole(std::mem::take(&mut content.memory));
        self.start_upload(number, (wanted, body, Next::Nothing), move |memory| {
            content.bring_back(memory);
        })
    }

    /// Begins one whose content comes by `push`. False: the fetcher is closed.
    #[napi]
    pub fn begin_upload(&self, number: u32, wanted: NativeUpload) -> bool {
        let (push, pieces) = bounded(PIECES);
        let body = Body::Stream(pieces);
        self.start_upload(number, (wanted, body, Next::Pieces(push)), drop)
    }

    /// Sends what the calls are to write as the next piece, once the one before it is taken; `hears` is told "taken" or "dropped". False: none can be sent.
    #[napi]
    pub fn push(&self, number: u32, pump: &NativePump, calls: Vec<u32>) -> bool {
        let running = self.running.lock();
        let Some(Next::Pieces(push)) = running.get(&number).map(|running| &running.next) else {
            return false;
        };
        let Some(mut content) = Content::lend(&pump.pump, calls) else {
            return false;
        };
        let memory = std::mem::take(&mut content.memory);
        let hears = Arc::clone(&self.hears);
        let piece = Piece::new(memory, move |memory, is_taken| {
            content.bring_back(memory);
            let news = (number, News::Piece(is_taken));
            hears.call(news, ThreadsafeFunctionCallMode::NonBlocking);
        });
        let push = push.clone();
        // What comes back is heard of, by its end.
        drop(running);
        _ = push.try_send(piece);
        true
    }

    /// That was all of it.
    #[napi]
    pub fn finish(&self, number: u32) {
        if let Some(running) = self.running.lock().get_mut(&number) {
            running.next = Next::Nothing;
        }
    }
}

impl NativeFetcher {
    fn start_upload(
        &self,
        number: u32,
        (wanted, body, next): (NativeUpload, Body, Next),
        bring_back: impl FnOnce(Vec<Memory>) + Send + 'static,
    ) -> bool {
        let client = self.client.lock();
        let Some(client) = client.as_ref() else {
            if let Body::Whole(memory) = body {
                bring_back(memory);
            }
            return false;
        };
        let upload = Upload {
            asked: Asked {
                origin: Origin {
                    tls: wanted.tls,
                    host: wanted.host,
                    port: wanted.port,
                },
                method: wanted.method,
                target: wanted.target,
                headers: in_pairs(&wanted.headers),
            },
            body,
        };
        self.begin(number, next, None);
        let hears = Arc::clone(&self.hears);
        let running = Arc::clone(&self.running);
        let cancel = client.upload(upload, move |outcome, memory| {
            bring_back(memory);
            running.lock().remove(&number);
            let news = (number, News::End(outcome, 0));
            hears.call(news, ThreadsafeFunctionCallMode::NonBlocking);
        });
        self.cancel_by(number, cancel);
        true
    }
}

/// Memory of calls, which goes back to them.
struct Content {
    pump: Arc<Pump>,
    calls: Vec<u32>,
    memory: Vec<Memory>,
}

impl Content {
    fn lend(pump: &Arc<Pump>, calls: Vec<u32>) -> Option<Content> {
        let mut content = Content {
            pump: Arc::clone(pump),
            memory: Vec::with_capacity(calls.len()),
            calls,
        };
        for at in 0..content.calls.len() {
            let memory = content.pump.lend_content(content.calls[at])?;
            content.memory.push(memory);
        }
        Some(content)
    }

    /// What was taken out of it.
    fn bring_back(mut self, memory: Vec<Memory>) {
        self.memory = memory;
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        give_back(&self.pump, &self.calls, memory.into());
    }
}
