//! One binary for all integration tests: it links once.

mod backup;
mod sim;
mod dependencies;
mod storage;
mod support;
