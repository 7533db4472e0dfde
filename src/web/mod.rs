//! Pages and API.

pub mod shell;
pub mod view;
