//! What the tests share.

pub mod db;
pub mod real;
pub mod sim;
pub mod watched;
