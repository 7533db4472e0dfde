//! One binary for all integration tests: it links once.

mod api;
mod backup;
mod contract;
mod dependencies;
mod docker;
mod docker_link;
mod docker_tls;
mod execute;
mod history;
mod packaging;
mod process;
mod schedules;
mod schedules_storage;
mod sim;
mod storage;
mod support;
