//! One binary for all integration tests: it links once.

mod backup;
mod dependencies;
mod storage;
mod support;
