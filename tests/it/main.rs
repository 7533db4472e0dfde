//! One binary for all integration tests: it links once.

mod api;
mod backup;
mod dependencies;
mod execute;
mod contract;
mod dependencies;
mod execute;
mod history;
mod packaging;
mod schedules;
mod schedules_storage;
mod docker;
mod docker_link;
mod docker_tls;
mod sim;
mod storage;
mod support;
