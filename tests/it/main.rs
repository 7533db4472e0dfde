//! One binary for all integration tests: it links once.

mod api;
mod backup;
mod dependencies;
mod execute;
mod contract;
mod history;
mod schedules;
mod schedules_storage;
mod sim;
mod storage;
mod support;
