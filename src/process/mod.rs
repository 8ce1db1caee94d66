//! What the binary does around the library: arguments, banner, signals, exit codes.

pub(crate) mod arguments;
mod banner;
pub(crate) mod explain;
mod reload;
pub(crate) mod serve;
