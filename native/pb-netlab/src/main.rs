//! `pb-netlab`: what `bench/netlab` needs in its network namespaces. Its commands are for that program and not for people.

mod clock;
mod corrupt;
mod counters;
mod direction;
mod emulator;
mod guard;
mod json;
mod loss;
mod offload;
mod probe;
mod random;
mod ring;
mod socket;
mod spec;

use std::process::ExitCode;
use std::time::Duration;

use emulator::Emulator;
use spec::LinkSpec;

const USAGE: &str = "usage:
  pb-netlab run PARENT-PID FILE     emulates the link that FILE describes, until standard input ends
  pb-netlab offloads wire|host INTERFACE...
                                    switches them so that a wire's packets are on the wire
  pb-netlab guard PREFIX            removes the namespaces called PREFIX... when standard input ends
  pb-netlab sweep                   removes the namespaces of labs whose owners are gone
  pb-netlab echo ADDRESS            answers UDP datagrams
  pb-netlab probe ADDRESS COUNT INTERVAL-US BYTES WAIT-MS
                                    measures a path to an echo";

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match command(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pb-netlab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(words: &[&str]) -> Result<(), Failure> {
    match words {
        ["run", parent, file] => run(parent.parse()?, file),
        ["offloads", kind, interfaces @ ..] => {
            let kind = offload::Kind::named(kind).ok_or(USAGE)?;
            for interface in interfaces {
                offload::switch(interface, kind)?;
            }
            Ok(())
        }
        ["guard", prefix] => Ok(guard::guard(prefix)?),
        ["sweep"] => Ok(guard::sweep()?),
        ["echo", address] => Ok(probe::echo(address.parse()?)?),
        ["probe", peer, count, interval, bytes, wait] => {
            let plan = probe::Plan {
                peer: peer.parse()?,
                count: count.parse()?,
                interval: Duration::from_micros(interval.parse()?),
                bytes: bytes.parse()?,
                wait: Duration::from_millis(wait.parse()?),
            };
            println!("{}", probe::probe(plan)?);
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

fn run(parent: i32, file: &str) -> Result<(), Failure> {
    die_with(parent)?;
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let spec = LinkSpec::read(&text).map_err(|error| format!("{file}: {error}"))?;
    punctual();
    Ok(Emulator::open(&spec)?.run()?)
}

/// The kernel kills this process when its parent dies, and not only when it closes the pipe.
fn die_with(parent: i32) -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have died before that.
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if now == parent {
        Ok(())
    } else {
        Err(format!("the parent is process {now}, not {parent}").into())
    }
}

/// Timers at their time, and before other programs where that is allowed: a late emulator is a link that was not asked for. It
/// sleeps between its ticks, and the kernel keeps 5 % of each core from real-time programs.
fn punctual() {
    // SAFETY: no pointers; 1 ns of slack is the least.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: `first` lives through the call; a refusal leaves the scheduling as it was.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first) };
    // SAFETY: no pointers. Without the privilege memory is paged in when it is used, which is late.
    unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) };
}
