//! Calls of jobs whose bytes JavaScript carries (`pb_io::pump`), as it hears and answers them.

use std::sync::Arc;

use napi::Status;
use napi::bindgen_prelude::{BigInt, Function, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use pb_io::error::Code;
use pb_io::fs::Kind;
use pb_io::pump::{Ask, Pump, PumpError, Reply, Subject};

/// See `Ask` in src/native/pump.ts.
#[napi(object)]
pub struct NativeAsk {
    pub number: u32,
    pub kind: String,
    pub id: u32,
    pub offset: f64,
    /// Of the memory.
    pub length: u32,
    /// Where the call is about a file, folder or link as such.
    pub subject: Option<NativeSubject>,
}

#[napi(object)]
pub struct NativeSubject {
    pub path: Uint8Array,
    /// "file", "directory", "symlink"
    pub kind: String,
    pub size: f64,
    pub mtime_ns: BigInt,
    pub mode: u32,
    pub version: BigInt,
}

type Call = ThreadsafeFunction<(u32, Ask, usize), (), NativeAsk, Status, false, true>;

/// Calls that `hears` is told of.
pub fn pump(hears: &Function<'_, NativeAsk, ()>) -> napi::Result<Arc<Pump>> {
    let call: Call = hears
        .build_threadsafe_function::<(u32, Ask, usize)>()
        .weak::<true>()
        .build_callback(|c| Ok(to_js(c.value)))?;
    Ok(Pump::new(Box::new(move |number, ask, length| {
        call.call(
            (number, ask, length),
            ThreadsafeFunctionCallMode::NonBlocking,
        );
    })))
}

fn to_js((number, ask, length): (u32, Ask, usize)) -> NativeAsk {
    let (kind, id, offset, subject) = match ask {
        Ask::Open(subject) => ("open", subject.id, 0, Some(subject)),
        Ask::Read { id, offset } => ("read", id, offset, None),
        Ask::Finish { id } => ("finish", id, 0, None),
        Ask::Close { id } => ("close", id, 0, None),
        Ask::Whole(subject) => ("whole", subject.id, 0, Some(subject)),
        Ask::Remove(subject) => ("remove", subject.id, 0, Some(subject)),
        Ask::Offer(subject) => ("offer", subject.id, 0, Some(subject)),
        Ask::Folder(subject) => ("folder", subject.id, 0, Some(subject)),
        Ask::Link(subject) => ("link", subject.id, 0, Some(subject)),
        Ask::Create(subject) => ("create", subject.id, 0, Some(subject)),
        Ask::Write { id, offset } => ("write", id, offset, None),
        Ask::Commit { id, size } => ("commit", id, size, None),
        Ask::Discard { id } => ("discard", id, 0, None),
        Ask::Put(subject) => ("put", subject.id, 0, Some(subject)),
        Ask::End => ("end", 0, 0, None),
        Ask::Known(subject) => ("known", subject.id, 0, Some(subject)),
        Ask::Resume(subject, reach) => ("resume", subject.id, reach, Some(subject)),
        Ask::State { id } => ("state", id, 0, None),
        Ask::Leave { id } => ("leave", id, 0, None),
        Ask::Forget(subject) => ("forget", subject.id, 0, Some(subject)),
    };
    NativeAsk {
        number,
        kind: kind.to_string(),
        id,
        offset: offset as f64,
        length: u32::try_from(length).unwrap_or(u32::MAX),
        subject: subject.map(subject_to_js),
    }
}

fn subject_to_js(subject: Subject) -> NativeSubject {
    let kind = match subject.kind {
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::File | Kind::Other => "file",
    };
    NativeSubject {
        path: subject.path.into(),
        kind: kind.to_string(),
        size: subject.size as f64,
        mtime_ns: subject.mtime_ns.into(),
        mode: subject.mode,
        version: subject.version.into(),
    }
}

/// Answers calls. Each is answered once; what is said of one that is over is not heard.
#[napi]
pub struct NativePump {
    pub(crate) pump: Arc<Pump>,
}

#[napi]
impl NativePump {
    /// Copies into the memory of a call: false when it is over, or another length.
    #[napi]
    pub fn fill(&self, number: u32, from: &[u8]) -> bool {
        self.pump.fill(number, from)
    }

    /// Copies out of it.
    #[napi]
    pub fn take(&self, number: u32, mut into: Uint8Array) -> bool {
        // SAFETY: JavaScript has given the array for this call, which runs on its thread and returns before it goes on.
        self.pump.take(number, unsafe { into.as_mut() })
    }

    /// Lets go of the credit of a call that is still to be answered: its memory becomes a copy.
    #[napi]
    pub fn keep_copy(&self, number: u32) {
        self.pump.keep_copy(number);
    }

    #[napi]
    pub fn done(&self, number: u32) {
        self.pump.answer(number, Ok(Reply::Done));
    }

    #[napi]
    pub fn version(
        &self,
        number: u32,
        size: f64,
        mtime_ns: BigInt,
        version: BigInt,
        parallel: bool,
    ) {
        let reply = Reply::Version {
            size: size as u64,
            mtime_ns: mtime_ns.get_i64().0,
            version: version.get_u64().1,
            parallel,
        };
        self.pump.answer(number, Ok(reply));
    }

    #[napi]
    pub fn wanted(&self, number: u32, wanted: bool) {
        self.pump.answer(number, Ok(Reply::Wanted(wanted)));
    }

    #[napi]
    pub fn state(&self, number: u32, state: &[u8]) {
        self.pump.answer(number, Ok(Reply::State(state.to_vec())));
    }

    /// Ranges of bytes that are there: from and up to, in turn.
    #[napi]
    pub fn has(&self, number: u32, ranges: Vec<f64>) {
        let (pairs, _) = ranges.as_chunks();
        let ranges = pairs.iter().map(|&[from, to]| (from as u64, to as u64));
        self.pump.answer(number, Ok(Reply::Has(ranges.collect())));
    }

    #[napi]
    pub fn fail(&self, number: u32, code: String, message: String) {
        let code = Code::parse(&code).unwrap_or(Code::IoError);
        self.pump.answer(number, Err(PumpError { code, message }));
    }
}
