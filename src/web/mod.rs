//! Pages and API.

pub mod pages;
pub mod shell;
pub mod view;
