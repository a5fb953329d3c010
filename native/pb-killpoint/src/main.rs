//! `pb-killpoint`: runs a program and kills it, all threads at once, at the entry of its N-th system call that changes something.
//!
//! strace's `inject=…:signal=KILL:when=N` counts in each thread on its own, so that the calls of one thread hide those of the
//! others; here one count goes over the whole process. A seccomp filter stops the program at the counted calls alone.

mod args;
mod calls;
mod filter;
mod report;
mod trace;
mod tracee;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = args::parse(&words).and_then(|options| trace::run(&options));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("pb-killpoint: {error}");
            ExitCode::from(125)
        }
    }
}

/// What keeps a program from being traced.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}\n{USAGE}", USAGE = args::USAGE)]
    Usage(String),
    #[error("{what}: {source}")]
    System {
        what: &'static str,
        source: std::io::Error,
    },
}

impl Failure {
    /// With the error of the call that just failed.
    pub fn last(what: &'static str) -> Self {
        let source = std::io::Error::last_os_error();
        Self::System { what, source }
    }
}
