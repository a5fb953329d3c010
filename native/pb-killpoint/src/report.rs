//! One line for each counted call.

use std::fs::File;
use std::io::{self, Write};

use crate::tracee::Stopped;

#[derive(Default)]
pub struct Report {
    file: Option<File>,
}

impl Report {
    pub fn new(path: Option<&str>) -> io::Result<Self> {
        let file = path.map(File::create).transpose()?;
        Ok(Self { file })
    }

    /// In one write, so that a reader sees whole lines. A full disk must not end the trace.
    pub fn counted(&mut self, number: u64, stopped: &Stopped, target: &str) {
        if let Some(file) = &mut self.file {
            let target = target.escape_debug();
            let (thread, name, call) = (stopped.thread, stopped.thread_name(), stopped.call.name);
            let line = format!("{number}\t{thread}\t{name}\t{call}\t{target}\n");
            let _ = file.write_all(line.as_bytes());
        }
    }
}
