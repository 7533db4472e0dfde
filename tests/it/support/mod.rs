//! What the tests share.

pub mod bench;
pub mod db;
pub mod sim;
