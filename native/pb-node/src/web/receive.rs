//! Connections on which nothing comes but content, into the memory of calls.

use std::sync::Arc;

use crossbeam_channel::unbounded;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use parking_lot::Mutex;
use pb_io::web::{Intake, Outcome, Want};

use super::{NativeFetcher, News, Next, give_back, lend, taker};
use crate::session::pump::NativePump;

#[napi]
impl NativeFetcher {
    /// Connects; `hears` is told "connected", and "closed" after `cancel`; or why there is no connection. False: the fetcher is closed.
    #[napi]
    pub fn receive(&self, number: u32, host: String, port: u16) -> bool {
        let client = self.client.lock();
        let Some(client) = client.as_ref() else {
            return false;
        };
        let (pull, wants) = unbounded();
        self.begin(number, Next::Wants(pull), None);
        let hears = Arc::clone(&self.hears);
        let connected = move || {
            let news = (number, News::Connected);
            hears.call(news, ThreadsafeFunctionCallMode::NonBlocking);
        };
        let hears = Arc::clone(&self.hears);
        let running = Arc::clone(&self.running);
        let intake = Intake { host, port, wants };
        let cancel = client.receive(intake, connected, move |outcome| {
            running.lock().remove(&number);
            let news = match outcome {
                Outcome::Filled => News::Closed,
                outcome => News::End(outcome, 0),
            };
            hears.call((number, news), ThreadsafeFunctionCallMode::NonBlocking);
        });
        self.cancel_by(number, cancel);
        true
    }

    /// What comes next there fills the calls, after what was pulled before; they are answered as they are filled. `hears` is told what became of it, for each in turn.
    /// With `is_last` the connection has to end behind it, and the last call is filled, but not answered. False: one of them is over, or the connection is.
    #[napi]
    pub fn pull(&self, number: u32, pump: &NativePump, calls: Vec<u32>, is_last: bool) -> bool {
        let running = self.running.lock();
        let Some(Next::Wants(wants)) = running.get(&number).map(|running| &running.next) else {
            return false;
        };
        let pump = Arc::clone(&pump.pump);
        let Some(memory) = lend(&pump, &calls) else {
            return false;
        };
        let hears = Arc::clone(&self.hears);
        let take = taker(&pump, Arc::new(Mutex::new(calls.clone().into())));
        let want = Want::new(memory, is_last, take, move |came, left| {
            let count = left.len();
            give_back(&pump, &calls[calls.len() - count..], left);
            let news = (number, News::Came(came, count));
            hears.call(news, ThreadsafeFunctionCallMode::NonBlocking);
        });
        let wants = wants.clone();
        // What comes back is heard of, by its end.
        drop(running);
        _ = wants.send(want);
        true
    }
}
