//! What the tests share.

pub mod db;
pub mod engine;
pub mod sim;
