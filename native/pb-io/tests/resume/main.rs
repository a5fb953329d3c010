//! Jobs that are resumed: what was recorded is not sent again, what has changed is, and versions never mix.

mod files;
mod kill;
mod order;
mod parts;
mod run;
mod sender;
mod wires;
