//! Leaves nothing behind. A lab's namespaces are called `pblab-OWNER'S PID-…`; a guardian that lives in a session of its own waits
//! for the end of its standard input, which comes when the owner closes the lab and also when it dies of anything, and then removes
//! them. What a guardian could not remove (both were killed), the next lab's sweep does.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;

/// Where iproute2 keeps them.
const NAMESPACES: &str = "/run/netns";
const PREFIX: &str = "pblab-";
/// How long a killed process may take to leave its namespace.
const EXIT_TIME: Duration = Duration::from_secs(5);

#[derive(Debug, Error)]
#[error("{path}: {source}")]
pub struct GuardError {
    path: PathBuf,
    source: io::Error,
}

/// Waits for the end of standard input, then removes every namespace whose name begins with `prefix`.
pub fn guard(prefix: &str) -> Result<(), GuardError> {
    // The owner is being told to stop as well, and closes the lab in its own time.
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: ignoring a signal installs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let mut bytes = [0; 64];
    while io::stdin().lock().read(&mut bytes).unwrap_or(0) > 0 {}
    remove_all(|name| name.starts_with(PREFIX) && name.starts_with(prefix))
}

/// Removes the labs whose owners are gone.
pub fn sweep() -> Result<(), GuardError> {
    remove_all(|name| owner(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()))
}

fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

fn remove_all(chosen: impl Fn(&str) -> bool) -> Result<(), GuardError> {
    let Ok(entries) = fs::read_dir(NAMESPACES) else {
        return Ok(());
    };
    let paths: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(&chosen))
        .map(|entry| entry.path())
        .collect();
    end_processes(&paths);
    paths.iter().try_for_each(|path| remove(path))
}

/// Programs in a namespace would keep it alive without a name. Returns when they are gone.
fn end_processes(namespaces: &[PathBuf]) {
    let wanted: Vec<_> = namespaces
        .iter()
        .filter_map(identity)
        // A name that was never mounted, or a namespace that is our own, is nobody's to kill.
        .filter(|id| identity("/proc/self/ns/net").is_some_and(|own| own != *id && own.0 == id.0))
        .collect();
    if wanted.is_empty() {
        return;
    }
    let end = Instant::now() + EXIT_TIME;
    loop {
        let inside = processes_in(&wanted);
        if inside.is_empty() || Instant::now() > end {
            return;
        }
        for pid in inside {
            // Gone already: as wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Device and inode: equal for two names of one namespace.
fn identity(path: impl AsRef<Path>) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn processes_in(namespaces: &[(u64, u64)]) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let id = identity(entry.path().join("ns/net"))?;
            if namespaces.contains(&id) {
                Pid::from_raw(pid)
            } else {
                None
            }
        })
        .collect()
}

fn remove(path: &Path) -> Result<(), GuardError> {
    // Not mounted (made, but its maker died before): the name alone goes.
    let _ = unmount(path, UnmountFlags::DETACH);
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(GuardError {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labs_have_owners() {
        assert_eq!(owner("pblab-123-0-a"), Some(123));
        for name in [
            "pblab-x-0",
            "pblab-",
            "pb123n0c",
            "xpblab-1-0",
            "pblab-12x-0",
        ] {
            assert_eq!(owner(name), None, "{name}");
        }
    }

    #[test]
    fn nobody_is_in_a_namespace_that_is_not_there() {
        assert!(processes_in(&[(0, 0)]).is_empty());
        assert_eq!(identity("/nowhere"), None);
    }
}
