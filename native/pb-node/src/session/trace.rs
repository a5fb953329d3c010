//! A session's trace as JavaScript gets it.

use napi_derive::napi;
use pb_io::session::Session;
use pb_io::session::trace::{TraceEvent, Traced};

use super::update::{NativeSample, sample};

/// See `SessionTrace` in src/native/types.ts.
#[napi(object)]
pub struct NativeTrace {
    pub events: Vec<NativeTraceEvent>,
    pub dropped: f64,
}

/// One of `up` (a transport), `sample` and `down` (a reason, or "") is there.
#[napi(object)]
pub struct NativeTraceEvent {
    pub at_ns: f64,
    pub lane: u32,
    pub up: Option<String>,
    pub sample: Option<NativeSample>,
    pub down: Option<String>,
}

pub fn trace(session: &Session) -> NativeTrace {
    let (events, dropped) = session.trace().map(|t| t.take()).unwrap_or_default();
    NativeTrace {
        events: events.into_iter().map(event).collect(),
        dropped: dropped as f64,
    }
}

fn event(e: TraceEvent) -> NativeTraceEvent {
    let blank = NativeTraceEvent {
        at_ns: e.at_ns as f64,
        lane: u32::from(e.lane),
        up: None,
        sample: None,
        down: None,
    };
    match e.what {
        Traced::Up(transport) => NativeTraceEvent {
            up: Some(transport.as_str().to_string()),
            ..blank
        },
        Traced::Sample(s) => NativeTraceEvent {
            sample: Some(sample(&s)),
            ..blank
        },
        Traced::Down(why) => NativeTraceEvent {
            down: Some(why.unwrap_or_default()),
            ..blank
        },
    }
}
