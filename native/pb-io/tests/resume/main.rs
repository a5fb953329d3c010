//! Jobs that are resumed: what was recorded is not sent again, what has changed is, and versions never mix.

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod files;
mod kill;
mod moves;
mod order;
mod parts;
#[allow(dead_code)]
#[path = "../peer/mod.rs"]
mod peer;
mod run;
mod sender;
mod wires;
