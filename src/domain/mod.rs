//! What DockNap knows without asking anyone: no async, no I/O, no clock. `now`, zones and inventories are arguments,
//! results are values.

pub mod action;
pub mod applied;
pub mod audit;
pub mod calendar;
pub mod conflict;
pub mod contradiction;
pub mod credential;
pub mod cron;
pub mod desired;
pub mod device;
pub mod due;
pub mod guard;
pub mod ids;
pub mod inventory;
pub mod lock;
pub mod nap;
pub mod needs;
pub mod order;
pub mod overrides;
pub mod pace;
pub mod permission;
pub mod plan;
pub mod reconcile;
pub mod report;
pub mod run;
pub mod schedule;
pub mod simulate;
pub mod sorted;
pub mod target;
pub mod text;
pub mod time;
pub mod timeline;
pub mod trace;
pub mod user;
pub mod window;
