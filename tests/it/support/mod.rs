//! What the tests share.

pub mod bench;
pub mod db;
pub mod engine;
pub mod rows;
pub mod real;
pub mod sim;
pub mod watched;
