//! One binary for all integration tests: it links once.

mod backup;
mod contract;
mod dependencies;
mod execute;
mod fragments;
mod history;
mod schedules;
mod schedules_storage;
mod sim;
mod storage;
mod support;
