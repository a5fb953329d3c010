//! The threads that take arrived units apart: verify and write chunks, create small files, hear messages.

use std::sync::{Arc, Weak};
use std::thread;

use crossbeam_channel::Receiver;
use pb_proto::message::note::{Note, Notes};
use pb_proto::message::{self, Parsed};

use super::job::Chunk;
use super::{Accepts, Session, Stage, error};
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
    if let Some(session) = session.upgrade() {
        session.cpu.enter(Stage::Writer);
    }
    while let Ok(unit) = work.recv() {
        let Some(session) = session.upgrade() else {
            return;
        };
        let credit = Credit {
            session: Arc::downgrade(&session),
            len: unit.len,
        };
        if let Err(why) = handle(&session, &unit, credit) {
            session.end(Some(why));
            return;
        }
    }
}

/// Lets the peer send as much again when it is dropped: a job may hold it with the memory that it stands for.
pub(crate) struct Credit {
    session: Weak<Session>,
    len: u32,
}

impl Drop for Credit {
    fn drop(&mut self) {
        if let Some(session) = self.session.upgrade() {
            session.release(self.len);
        }
    }
}

fn handle(session: &Arc<Session>, unit: &InUnit, credit: Credit) -> Result<(), TransportError> {
    let Some(buffer) = unit.state.lock().buffer.take() else {
        return Ok(());
    };
    match message::parse(buffer.as_slice()).map_err(violation)? {
        Parsed::Chunk { data, trailer } => {
            let data = data.len();
            if let Some(job) = session.job(trailer.job) {
                job.chunk(Chunk {
                    trailer,
                    buffer,
                    data,
                    credit: Some(credit),
                });
            }
            Ok(())
        }
        Parsed::Bundle { job, items } => match session.job(job) {
            Some(job) => job.bundle(items).map_err(violation),
            None => Ok(()),
        },
        Parsed::Message { job, notes } => hear(session, job, notes),
    }
}

fn hear(session: &Arc<Session>, number: u32, notes: &[u8]) -> Result<(), TransportError> {
    let job = session.job(number);
    for note in Notes::new(notes) {
        let note = note.map_err(violation)?;
        match (&job, note) {
            (Some(job), note) => job.hear(&note),
            // The receiver may be ready before the sending job is there.
            (None, Note::Accept { push, dense }) => {
                session.accepted(number, Accepts { push, dense })
            }
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
