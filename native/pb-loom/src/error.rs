//! What pb-io's module of this name is here.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    ProtocolViolation,
}
