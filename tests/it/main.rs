//! One binary for all integration tests: it links once.

mod backup;
mod sim;
mod storage;
mod support;
