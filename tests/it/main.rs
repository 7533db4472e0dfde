//! One binary for all integration tests: it links once.

mod api;
mod architecture;
mod auth;
mod backup;
mod billing;
mod browser;
mod calendars;
mod conflicts;
mod contract;
mod dependencies;
mod docker;
mod docker_link;
mod docker_tls;
mod execute;
mod fragments;
mod history;
mod killed;
mod locks;
mod order;
mod packaging;
mod pages;
mod pages_windows;
mod process;
mod rbac;
mod scheduler;
mod schedules;
mod schedules_storage;
mod security;
mod sim;
mod simulate;
#[cfg(feature = "faults")]
mod simulation;
mod storage;
mod support;
mod windows;
mod windows_meet;
