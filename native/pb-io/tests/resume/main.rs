//! Jobs that are resumed: what was recorded is not sent again, what has changed is, and versions never mix.

#[path = "../common/mod.rs"]
mod common;
mod files;
mod kill;
mod moves;
mod order;
mod parts;
mod run;
mod sender;
mod wires;
