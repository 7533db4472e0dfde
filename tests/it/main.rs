//! One binary for all integration tests: it links once.

mod backup;
mod dependencies;
mod execute;
mod sim;
mod storage;
mod support;
