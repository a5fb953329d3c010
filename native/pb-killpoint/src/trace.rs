//! The life of the traced program.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::Failure;
use crate::args::Options;
use crate::filter;
use crate::report::Report;
use crate::tracee::{self, Stopped};

/// SIGUSR1 came.
static ARMED: AtomicBool = AtomicBool::new(false);
/// To whom SIGTERM and SIGINT are passed on.
static PROGRAM: AtomicI32 = AtomicI32::new(0);

extern "C" fn arm(_: i32) {
    ARMED.store(true, Ordering::Relaxed);
}

extern "C" fn pass_on(signal: i32) {
    let program = PROGRAM.load(Ordering::Relaxed);
    if program > 0 {
        // SAFETY: `kill` takes integers and may be called in a signal handler.
        unsafe { libc::kill(program, signal) };
    }
}

/// To the end of the program, or to the call where it is killed. The exit code to give.
pub fn run(options: &Options) -> Result<u8, Failure> {
    let system = |what| move |source| Failure::System { what, source };
    let mut report = Report::new(options.log.as_deref()).map_err(system("log"))?;
    ARMED.store(!options.armed, Ordering::Relaxed);
    on_signal(libc::SIGUSR1, arm);
    let program = start(&options.program).map_err(system("start"))?;
    PROGRAM.store(program, Ordering::Relaxed);
    on_signal(libc::SIGTERM, pass_on);
    on_signal(libc::SIGINT, pass_on);
    let mut count = 0;
    let mut begun = false;
    loop {
        let Some((thread, status)) = wait()? else {
            return Err(Failure::last("the program vanished"));
        };
        if !libc::WIFSTOPPED(status) {
            if thread == program {
                return Ok(code(status));
            }
            continue;
        }
        if !begun {
            set_options(program)?;
            begun = true;
        }
        let signal = match status >> 16 {
            libc::PTRACE_EVENT_SECCOMP => {
                if is_last(thread, &mut count, options.kill, &mut report) {
                    return end(thread, program);
                }
                0
            }
            0 => to_deliver(libc::WSTOPSIG(status)),
            _ => 0,
        };
        go_on(thread, signal);
    }
}

/// A thread is about to make a call that may count: is it the one to be killed at?
fn is_last(thread: i32, count: &mut u64, kill: Option<u64>, report: &mut Report) -> bool {
    if !ARMED.load(Ordering::Relaxed) {
        return false;
    }
    let Some(stopped) = Stopped::of(thread) else {
        return false;
    };
    let Some(target) = stopped.target() else {
        return false;
    };
    *count += 1;
    report.counted(*count, &stopped, &target);
    kill == Some(*count)
}

/// The exec's trap and the stop that every new thread begins with are the tracer's own; everything else is for the program.
fn to_deliver(signal: i32) -> i32 {
    if signal == libc::SIGTRAP || signal == libc::SIGSTOP {
        0
    } else {
        signal
    }
}

fn start(words: &[String]) -> io::Result<i32> {
    let (program, args) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let filter = filter::program();
    let mut command = Command::new(program);
    command.args(args);
    // SAFETY: between fork and exec only system calls are made; the filter was allocated before.
    unsafe {
        command.pre_exec(move || {
            if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) != 0 {
                return Err(io::Error::last_os_error());
            }
            filter::install(&filter)
        });
    }
    // Waited for by `wait`, with its threads.
    Ok(command.spawn()?.id() as i32)
}

/// Threads and children are traced, too; all die with the tracer.
fn set_options(program: i32) -> Result<(), Failure> {
    let options = libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    // SAFETY: plain integers.
    match unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, program, 0, options) } {
        0 => Ok(()),
        _ => Err(Failure::last("PTRACE_SETOPTIONS")),
    }
}

fn go_on(thread: i32, signal: i32) {
    // SAFETY: plain integers. It fails where the thread has died meanwhile, which `wait` tells.
    unsafe { libc::ptrace(libc::PTRACE_CONT, thread, 0, signal) };
}

/// `None`: there is nobody left.
fn wait() -> Result<Option<(i32, i32)>, Failure> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for an integer.
        let thread = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
        if thread > 0 {
            return Ok(Some((thread, status)));
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return Ok(None),
            _ => return Err(Failure::last("waitpid")),
        }
    }
}

/// The stopped call is never made. Returns when the program is gone, so that whoever waits for this process may look at what is left.
fn end(thread: i32, program: i32) -> Result<u8, Failure> {
    for process in [tracee::process_of(thread), program] {
        // SAFETY: plain integers.
        unsafe { libc::kill(process, libc::SIGKILL) };
    }
    while let Some((_, status)) = wait()? {
        if libc::WIFSTOPPED(status) {
            continue;
        }
    }
    Ok(128 + libc::SIGKILL as u8)
}

fn code(status: i32) -> u8 {
    if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status) as u8
    } else {
        128 + libc::WTERMSIG(status) as u8
    }
}

fn on_signal(signal: i32, handler: extern "C" fn(i32)) {
    // SAFETY: the handler makes only calls that are allowed in one; without SA_RESTART `waitpid` returns and is called again.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        libc::sigaction(signal, &action, ptr::null_mut());
    }
}
