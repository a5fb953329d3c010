//! A seccomp filter that stops a process for its tracer at some system calls, and lets all others pass at full speed.

use std::io;

use crate::calls;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const TRACE: u32 = libc::SECCOMP_RET_TRACE;
/// Offset of the call's number in `struct seccomp_data`.
const NUMBER_OFFSET: u32 = 0;

const fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// Load the number; for each call: equal → stop, else the next one; allow.
pub fn program() -> Vec<libc::sock_filter> {
    let mut program = vec![instruction(
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        NUMBER_OFFSET,
        0,
        0,
    )];
    for call in calls::all() {
        program.push(instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            call.number as u32,
            0,
            1,
        ));
        program.push(instruction(libc::BPF_RET | libc::BPF_K, TRACE, 0, 0));
    }
    program.push(instruction(libc::BPF_RET | libc::BPF_K, ALLOW, 0, 0));
    program
}

/// For this process and all that come from it. Allocates nothing: it runs between fork and exec.
pub fn install(program: &[libc::sock_filter]) -> io::Result<()> {
    let description = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: both calls take plain integers and one pointer to a description that outlives the call; the kernel copies the program.
    let status = unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &description,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
