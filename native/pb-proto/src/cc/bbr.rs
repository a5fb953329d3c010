pub use super::cubic::Cubic as Bbr;
