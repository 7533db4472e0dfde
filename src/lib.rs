//! DockNap puts Docker stacks to sleep and wakes them again.
//!
//! Layers, each using only those before it: `domain` (pure), then `db` and `docker`, then `app` (services), then
//! `web`, `scheduler` and `cli`. Files about the same thing have the same name in each layer.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod docker;
pub mod domain;
pub mod faults;
pub mod files;
pub mod lifecycle;
pub mod scheduler;
pub mod sim;
pub mod tasks;
pub mod telemetry;
pub mod web;
pub mod zones;
