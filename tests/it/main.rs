//! One binary for all integration tests: it links once.

mod auth;
mod backup;
mod contract;
mod history;
mod schedules;
mod schedules_storage;
mod dependencies;
mod execute;
mod rbac;
mod security;
mod sim;
mod storage;
mod support;
