//! How a job ends before its time: whoever ends it first says why, and nobody after.

use pb_proto::message::note::{Note, Outcome};

use super::commit::Commit;
use super::{RecvJob, Unfinished, job_error, result};
use crate::error::Code;
use crate::job::{JobError, State, add};

impl RecvJob {
    /// Stops the job and tells the sender. Said again, it is not waited for what was not recorded.
    pub fn abort(&self, reason: &str, unfinished: Unfinished) {
        self.abandon(unfinished);
        self.conclude(State::Aborted, None, &[abort(Code::Aborted, reason)]);
    }

    /// The same where the job has failed by what its owner knows, and the sender is to know too; what the checkpoint knows of stays.
    pub fn fail_for(&self, code: Code, reason: &str) {
        self.abandon(Unfinished::Keep);
        self.conclude(State::Failed, None, &[abort(code, reason)]);
    }

    /// The job can't go on: tells the sender why.
    pub(super) fn fail_with(&self, code: Code, text: &str) {
        let cause = job_error(code, text);
        self.conclude(State::Failed, Some(cause), &[abort(code, text)]);
    }

    /// The sender does what none may.
    pub(crate) fn breach(&self, text: &str) {
        self.fail_with(Code::ProtocolViolation, text);
    }

    /// An entry failed. Where nothing else will fit either, so does the job: the entry has no result here then, as with that of the
    /// last one the committer would end the job as done.
    pub(crate) fn fail_entry(&self, id: u32, path: &[u8], code: Code, text: &str) {
        add(&self.status.counters.failed, 1);
        let error = JobError {
            code,
            path: path.to_vec(),
            message: text.to_string(),
        };
        let outcome = Outcome::Failed {
            code: code.as_str().as_bytes(),
            text: text.as_bytes(),
        };
        if code == Code::NoSpace {
            let notes = [result(id, outcome), abort(code, text)];
            return self.conclude(State::Failed, Some(error), &notes);
        }
        self.status.error(error);
        self.resolve(&[(id, outcome)]);
    }

    /// The sender has ended it, or is gone.
    pub(super) fn end_by_sender(&self, code: Code, text: &str) {
        let state = match code {
            Code::Aborted => State::Aborted,
            _ => State::Failed,
        };
        self.conclude(state, Some(job_error(code, text)), &[]);
    }

    /// Everything has its place.
    pub(super) fn end_well(&self, note: Note<'_>) {
        self.conclude(State::Done, None, &[note]);
    }

    /// Ends the job unless it has been ended; what has no final name yet is removed. It is over before the sender hears a word: what
    /// the sender then does, or its end, is no cause.
    fn conclude(&self, state: State, cause: Option<JobError>, notes: &[Note<'_>]) {
        let Some(unfinished) = self.entries.stop() else {
            return;
        };
        if let Some(cause) = cause {
            self.status.error(cause);
        }
        let session = self.session.upgrade();
        if let Some(session) = session.as_ref().filter(|_| !notes.is_empty()) {
            session.send_notes(self.options.job, notes);
        }
        self.leave_or_discard(unfinished);
        self.end_committer(state);
        if let Some(session) = session {
            session.remove_job(self.options.job);
        }
    }

    /// The committer removes what it holds and then ends the job.
    pub(super) fn end_committer(&self, state: State) {
        let commits = self.commits.lock().take();
        if let Some(commits) = commits {
            let _ = commits.send(Commit::Stop(state));
        }
    }
}

pub(super) fn abort<'a>(code: Code, text: &'a str) -> Note<'a> {
    Note::Abort {
        code: code.as_str().as_bytes(),
        text: text.as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::super::{Overwrite, RecvOptions};
    use super::*;
    use crate::fs::{Resolve, Root};
    use crate::job::{Status, Update};
    use crate::session::{Job, Session, SessionOptions, join};
    use crate::transport::TransportError;

    /// A sender that hears that its entry failed may end its session before the committer has tidied up.
    #[test]
    fn what_ended_a_job_is_its_cause_and_not_what_its_sender_then_did() {
        let dir = std::env::temp_dir().join(format!("pb-ending-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        let session = || {
            let options = SessionOptions {
                memory: 1 << 20,
                limit: 0,
                seal: true,
            };
            Session::new(options).expect("a session")
        };
        let (a, b) = (session(), session());
        join(&a, &b).expect("joined sessions");
        let (tell, ended) = channel();
        let tell = Mutex::new(tell);
        let listener = move |_: &Status, update: Update| {
            if let Update::Ended(state, _) = update {
                let _ = tell.lock().expect("not poisoned").send(state);
            }
        };
        let status = Status::new(None, Box::new(listener));
        let options = RecvOptions {
            job: 1,
            root: Root::open(&dir, Resolve::Beneath, true).expect("a root"),
            base: Vec::new(),
            exact_name: false,
            overwrite: Overwrite::Always,
            fsync: true,
            perms: true,
            owner: false,
            stream: None,
            discard: false,
            reread: false,
        };
        let job = RecvJob::start(&b, options, Arc::clone(&status), None).expect("a job");
        // As a writer that is at work on another entry holds up the end.
        let busy = job.gate.enter();
        job.fail_entry(0, b"x", Code::NoSpace, "write x: no space is left");
        assert!(job.stopped() && !status.has_ended());
        job.fail(&TransportError::new(Code::ConnectionLost, "gone"));
        job.abort("as the other side has ended the call", Unfinished::Keep);
        drop(busy);
        let state = ended.recv_timeout(Duration::from_secs(30)).expect("an end");
        let codes: Vec<Code> = status.errors().iter().map(|e| e.code).collect();
        let _ = fs::remove_dir_all(&dir);
        assert_eq!((state, codes), (State::Failed, vec![Code::NoSpace]));
    }
}
