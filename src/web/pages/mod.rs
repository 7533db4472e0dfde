//! The pages. Each file holds the view structs of its noun, what fills them from domain values, and the handlers.

pub mod actions;
pub mod audit;
pub mod containers;
pub mod profile;
pub mod runs;
pub mod schedules;
pub mod stacks;
