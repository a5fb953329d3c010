//! The threads that take arrived units apart: verify and write chunks, create small files, hear messages.

use std::sync::{Arc, Weak};
use std::thread;

use crossbeam_channel::Receiver;
use pb_proto::message::note::{Note, Notes};
use pb_proto::message::{self, Parsed};

use super::{Job, Session, error};
use crate::error::Code;
use crate::transport::{InUnit, TransportError};

/// Enough to keep a disk's queue busy; more cores than that are better spent on lanes.
const MAX_WRITERS: usize = 4;

pub(super) fn spawn_writers(
    session: &Arc<Session>,
    work: &Receiver<Arc<InUnit>>,
) -> std::io::Result<()> {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    for n in 0..cores.clamp(2, MAX_WRITERS) {
        let (session, work) = (Arc::downgrade(session), work.clone());
        thread::Builder::new()
            .name(format!("pb-write-{n}"))
            .spawn(move || run(&session, &work))?;
    }
    Ok(())
}

fn run(session: &Weak<Session>, work: &Receiver<Arc<InUnit>>) {
    while let Ok(unit) = work.recv() {
        let Some(session) = session.upgrade() else {
            return;
        };
        let len = unit.len;
        let result = handle(&session, &unit);
        let held = matches!(result, Ok(Held::Yes));
        drop(unit);
        if let Err(why) = result {
            session.end(Some(why));
            return;
        }
        if !held {
            session.release(len);
        }
    }
}

/// Whether a job kept the unit's memory; it then releases the unit itself.
pub(crate) enum Held {
    Yes,
    No,
}

fn handle(session: &Arc<Session>, unit: &Arc<InUnit>) -> Result<Held, TransportError> {
    let Some(buffer) = unit.state.lock().buffer.take() else {
        return Ok(Held::No);
    };
    match message::parse(buffer.as_slice()).map_err(violation)? {
        Parsed::Chunk { data, trailer } => match session.job(trailer.job) {
            Some(Job::Receive(job)) => {
                let data = data.len();
                Ok(job.chunk(buffer, data, trailer))
            }
            _ => Ok(Held::No),
        },
        Parsed::Bundle { job, items } => match session.job(job) {
            Some(Job::Receive(job)) => job.bundle(items).map(|()| Held::No).map_err(violation),
            _ => Ok(Held::No),
        },
        Parsed::Message { job, notes } => hear(session, job, notes).map(|()| Held::No),
    }
}

fn hear(session: &Arc<Session>, number: u32, notes: &[u8]) -> Result<(), TransportError> {
    let job = session.job(number);
    for note in Notes::new(notes) {
        let note = note.map_err(violation)?;
        match (&job, note) {
            (Some(Job::Send(job)), note) => job.hear(&note),
            (Some(Job::Receive(job)), note) => job.hear(&note),
            // The receiver may be ready before the sending job is there.
            (None, Note::Accept { push }) => session.accepted_early(number, push),
            (None, _) => {}
        }
    }
    Ok(())
}

fn violation(e: pb_proto::message::DecodeError) -> TransportError {
    error(
        Code::ProtocolViolation,
        &format!("the peer sent a malformed unit: {e}"),
    )
}
