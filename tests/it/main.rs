//! One binary for all integration tests: it links once.

mod backup;
mod storage;
mod support;
