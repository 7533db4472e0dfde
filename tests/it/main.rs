//! One binary for all integration tests: it links once.

mod auth;
mod backup;
mod contract;
mod dependencies;
mod execute;
mod history;
mod rbac;
mod schedules;
mod schedules_storage;
mod security;
mod sim;
mod storage;
mod support;
