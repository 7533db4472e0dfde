//! One binary for all integration tests: it links once.

mod contract;
mod sim;
mod storage;
mod support;
