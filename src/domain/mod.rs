//! What DockNap knows without asking anyone: no async, no I/O, no clock. `now`, zones and inventories are arguments,
//! results are values.

pub mod action;
pub mod ids;
pub mod target;
pub mod time;
