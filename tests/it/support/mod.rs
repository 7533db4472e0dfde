//! What the tests share.

pub mod db;
pub mod rows;
pub mod sim;
