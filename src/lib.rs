//! DockNap puts Docker stacks to sleep and wakes them again.
//!
//! Layers, each using only those to its left: `domain` (pure), then `db`, `docker`, then `app` (services), then
//! `web`, `scheduler`, `cli`. The same noun names the file at every layer.

pub mod clock;
pub mod domain;
