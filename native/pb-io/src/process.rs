//! What concerns the process as a whole.

use rustix::io::Result;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// No core dump of this process from now on, of memory or of registers, whatever its limits and wherever cores go; and no process of
/// the same user may look into it with ptrace(2) or /proc (PR_SET_DUMPABLE). Programs that it starts are as usual: execve(2) sets it anew.
pub fn refuse_dumps() -> Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}
