//! Pages and API.

pub mod shell;
