//! A receiver whose files a carrier writes, and a sender whose files one reads.

#[allow(dead_code)]
mod common;

use std::fs;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pb_io::error::Code;
use pb_io::job::State;
use pb_io::pump::{Ask, Pump, PumpError, Reply};
use pb_io::recv::pumped::{PumpedOptions, PumpedRecv};
use pb_io::recv::{RecvJob, RecvOptions};
use pb_io::send::{SendJob, SendOptions};

use common::{Scratch, entries, noise, recv_options, root, send_options, sessions, status};

/// Longer than the session's other threads take to bring a chunk.
const SLOW: Duration = Duration::from_millis(200);

/// Which thread brings what is chance: whoever announces the file may be stopped by the system before it has asked.
#[test]
fn nothing_is_asked_of_a_file_before_it_is_begun() {
    let s = Scratch::new();
    fs::write(s.path("a/file"), noise(1 << 20, 1)).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (calls, carried) = channel();
    let log = Arc::clone(&asked);
    let pump = Pump::new(Box::new(move |number, ask, _| {
        if matches!(ask, Ask::Create(_)) {
            thread::sleep(SLOW);
        }
        log.lock().unwrap().push(ask);
        let _ = calls.send(number);
    }));
    let carrier = Arc::downgrade(&pump);
    thread::spawn(move || {
        for number in carried {
            let Some(pump) = carrier.upgrade() else {
                return;
            };
            pump.answer(number, Ok(Reply::Done));
        }
    });
    let (a, b) = sessions(16 << 20, 0);
    let (received, ended) = status();
    let options = PumpedOptions {
        job: 1,
        exact_name: false,
        push: true,
    };
    PumpedRecv::start(&b, options, (received, pump), None).unwrap();
    let source = root(&s.path("a"));
    let sender = SendJob::start(&a, send_options(source.clone()), status().0).unwrap();
    sender.push(entries(&source));
    sender.finish();
    let state = ended.recv_timeout(Duration::from_secs(60)).unwrap();
    a.end(None);
    let asked = asked.lock().unwrap();
    assert!(matches!(asked[0], Ask::Create(_)), "{:?}", asked[0]);
    let written = asked.iter().filter(|a| matches!(a, Ask::Write { .. }));
    assert_eq!((written.count(), state), (16, State::Done));
}

/// With a result of it, the last entry would have ended the job as done before it could fail.
#[test]
fn a_carrier_without_room_for_the_last_entry_fails_the_job() {
    let s = Scratch::new();
    fs::write(s.path("a/file"), noise(1000, 1)).unwrap();
    let (calls, carried) = channel();
    let pump = Pump::new(Box::new(move |number, ask, _| {
        let _ = calls.send((number, matches!(ask, Ask::Put(_))));
    }));
    let carrier = Arc::downgrade(&pump);
    thread::spawn(move || {
        for (number, puts) in carried {
            let Some(pump) = carrier.upgrade() else {
                return;
            };
            let full = || PumpError {
                code: Code::NoSpace,
                message: "the bucket is full".into(),
            };
            pump.answer(number, if puts { Err(full()) } else { Ok(Reply::Done) });
        }
    });
    let (a, b) = sessions(16 << 20, 0);
    let (received, ended) = status();
    let options = PumpedOptions {
        job: 1,
        exact_name: false,
        push: true,
    };
    let told = Arc::clone(&received);
    PumpedRecv::start(&b, options, (received, pump), None).unwrap();
    let source = root(&s.path("a"));
    let (sent, sender_ended) = status();
    let sender = SendJob::start(&a, send_options(source.clone()), Arc::clone(&sent)).unwrap();
    sender.push(entries(&source));
    sender.finish();
    let wait = Duration::from_secs(60);
    let states = [ended, sender_ended].map(|end| end.recv_timeout(wait).unwrap());
    a.end(None);
    assert_eq!(states, [State::Failed, State::Failed]);
    let errors = told.errors();
    assert_eq!(
        errors.iter().map(|e| e.code).collect::<Vec<_>>(),
        [Code::NoSpace]
    );
    assert_eq!(sent.errors()[0].code, Code::NoSpace);
}

/// What came before it must have left the first chunk room at a receiver that writes in order.
#[test]
fn the_first_chunk_may_be_the_last_to_come() {
    for memory in [8 << 20, 64 << 20, 256 << 20] {
        first_comes_last(memory);
    }
}

fn first_comes_last(memory: u64) {
    const CHUNK: usize = 1 << 20;
    let s = Scratch::new();
    let content = Arc::new(noise(96 * CHUNK, 1));
    fs::write(s.path("a/file"), &*content).unwrap();
    let source = root(&s.path("a"));
    let files = entries(&source);
    let version = Reply::Version {
        size: files[0].size,
        mtime_ns: files[0].mtime_ns,
        version: 0,
        parallel: true,
    };
    let (tell, asked) = channel();
    let pump = Pump::new(Box::new(move |number, ask, len| {
        let _ = tell.send((number, ask, len));
    }));
    let carrier = Arc::downgrade(&pump);
    let given = Arc::clone(&content);
    thread::spawn(move || {
        let mut first = None;
        loop {
            // Nothing more is asked: now it comes.
            let call = match asked.recv_timeout(SLOW) {
                Ok((number, Ask::Read { offset: 0, .. }, len)) => {
                    first = Some((number, Ask::Read { id: 0, offset: 0 }, len));
                    continue;
                }
                Ok(call) => call,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => match first.take() {
                    Some(call) => call,
                    None => continue,
                },
            };
            let Some(pump) = carrier.upgrade() else {
                return;
            };
            let answer = match call {
                (number, Ask::Read { offset, .. }, len) => {
                    let from = usize::try_from(offset).unwrap();
                    assert!(pump.fill(number, &given[from..from + len]));
                    Reply::Done
                }
                (_, Ask::Open(_), _) => version.clone(),
                _ => Reply::Done,
            };
            pump.answer(call.0, Ok(answer));
        }
    });
    let (a, b) = sessions(memory, 0);
    let (received, ended) = status();
    let to_stream = RecvOptions {
        stream: Some(fs::File::create(s.path("out")).unwrap()),
        ..recv_options(root(&s.path("")))
    };
    RecvJob::start(&b, to_stream, received, None).unwrap();
    let options = SendOptions {
        roots: Vec::new(),
        chunk_bytes: CHUNK as u32,
        ..send_options(source)
    };
    let sender = SendJob::start_from(&a, options, status().0, Some(pump)).unwrap();
    sender.push(files);
    sender.finish();
    let state = ended.recv_timeout(Duration::from_secs(60)).unwrap();
    a.end(None);
    assert_eq!(state, State::Done);
    assert!(fs::read(s.path("out")).unwrap() == *content);
}
