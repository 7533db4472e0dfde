//! The commands of the `docknap` program.

pub mod explain;
