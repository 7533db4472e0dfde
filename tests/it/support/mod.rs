//! Helpers that the tests share.

pub mod app;
pub mod bench;
pub mod db;
pub mod engine;
pub mod haproxy;
pub mod pki;
pub mod program;
pub mod real;
pub mod rows;
pub mod sim;
pub mod site;
pub mod tls;
pub mod wait;
pub mod watched;
