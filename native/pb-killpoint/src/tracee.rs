//! What a stopped thread is about to do.

use std::fs::{self, File};
use std::mem::{self, MaybeUninit};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::calls::{self, Call, Target};

const PATH_MAX: usize = 4096;

pub struct Stopped {
    pub thread: i32,
    pub call: &'static Call,
    arguments: [u64; 6],
}

impl Stopped {
    /// Of a thread in a seccomp stop; `None` when it has just died, or was stopped for a call that is not counted.
    pub fn of(thread: i32) -> Option<Self> {
        let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
        let size = mem::size_of::<libc::ptrace_syscall_info>();
        // SAFETY: the kernel writes at most `size` bytes to `info`, which has that many; all zeros are a valid value of it.
        let (length, info) = unsafe {
            let length = libc::ptrace(
                libc::PTRACE_GET_SYSCALL_INFO,
                thread,
                size,
                info.as_mut_ptr(),
            );
            (length, info.assume_init())
        };
        if length <= 0 || info.op != libc::PTRACE_SYSCALL_INFO_SECCOMP {
            return None;
        }
        // SAFETY: `op` says which member the kernel has filled.
        let (number, arguments) = unsafe { (info.u.seccomp.nr, info.u.seccomp.args) };
        let call = calls::find(number as i64)?;
        Some(Self {
            thread,
            call,
            arguments,
        })
    }

    pub fn thread_name(&self) -> String {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.thread)).unwrap_or_default();
        name.trim_end().to_owned()
    }

    /// The file or socket concerned; `None` when nobody else can see what changes: pipes, event counters, terminals, devices.
    pub fn target(&self) -> Option<String> {
        let first = self.arguments[0];
        match self.call.target {
            Target::Descriptor => self.lasting(first),
            Target::Third => self.lasting(self.arguments[2]),
            Target::Path => Some(self.text(first)),
            Target::TwoPaths => Some(format!(
                "{} {}",
                self.text(first),
                self.text(self.arguments[1])
            )),
            Target::At => Some(self.at(0)),
            Target::TwoAt => Some(format!("{} {}", self.at(0), self.at(2))),
            Target::TextAt => Some(format!("{} {}", self.text(first), self.at(1))),
            Target::OpenAt => self.made(self.arguments[2]),
            Target::OpenAt2 => self.made(u64::from_ne_bytes(self.memory(self.arguments[2]))),
        }
    }

    /// Opening a file changes something only where it makes or empties it.
    fn made(&self, flags: u64) -> Option<String> {
        let changing = (libc::O_CREAT | libc::O_TRUNC) as u64;
        (flags & changing != 0).then(|| self.at(0))
    }

    fn lasting(&self, descriptor: u64) -> Option<String> {
        let target = self.descriptor(descriptor);
        let passing = ["pipe:", "anon_inode:", "/dev/"];
        let memory = target.starts_with("/dev/shm/");
        (memory || !passing.iter().any(|start| target.starts_with(start))).then_some(target)
    }

    fn descriptor(&self, descriptor: u64) -> String {
        let descriptor = descriptor as i32;
        let link = if descriptor == libc::AT_FDCWD {
            format!("/proc/{}/cwd", self.thread)
        } else {
            format!("/proc/{}/fd/{descriptor}", self.thread)
        };
        fs::read_link(link).map_or_else(|_| "?".into(), |path| path.to_string_lossy().into_owned())
    }

    fn at(&self, index: usize) -> String {
        let path = self.text(self.arguments[index + 1]);
        let folder = self.descriptor(self.arguments[index]);
        Path::new(&folder).join(path).to_string_lossy().into_owned()
    }

    fn text(&self, address: u64) -> String {
        let bytes: [u8; PATH_MAX] = self.memory(address);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    /// Zeros where it has no memory.
    fn memory<const LENGTH: usize>(&self, address: u64) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        if let Ok(memory) = File::open(format!("/proc/{}/mem", self.thread)) {
            // Fewer where a mapping ends behind the text.
            let _ = memory.read_at(&mut bytes, address);
        }
        bytes
    }
}

/// The process that a thread is of.
pub fn process_of(thread: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|id| id.trim().parse().ok()).unwrap_or(thread)
}
