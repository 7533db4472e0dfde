//! One binary for all integration tests: it links once.

mod sim;
mod storage;
mod support;
