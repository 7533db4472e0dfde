//! The one execution path. Nothing else in the program may ask Docker to start, stop, restart, pause or unpause.
//!
//! 1. [`preview`] answers the plan: permission, inventory, pure `domain::plan`. A dry run stops here.
//! 2. [`submit`] makes the same plan and stores run, steps and audit row in one transaction; then it wakes the runner.
//! 3. The [`runner`] [`admit`]s each pending run when nothing is in its way, and [`run`]s it: commit to a step, call
//!    Docker, look whether it became so ([`step`]), store the outcome.
//! 4. Run state and audit row of the end are stored in one transaction.
//!
//! Buttons, API, schedules and catch-up all come through here.

mod active_runs;
mod admit;
mod cancel;
pub mod early;
mod guard;
mod locks;
mod looks;
mod past;
mod request;
mod run;
pub mod runner;
mod share;
mod step;
mod submit;
pub mod undo;
mod usage;
mod verdict;

pub use active_runs::ActiveRuns;
pub use cancel::cancel;
pub use request::Request;
pub use share::preview;
pub use submit::{Prepared, Submitted, prepare, retry, store, store_all, submit};
