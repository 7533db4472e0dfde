//! The only code that changes containers. Nothing else in the program may call Docker to start, stop, restart, pause or
//! unpause.
//!
//! 1. [`preview`] returns the plan: permission check, inventory, pure `domain::plan`. A dry run ends here.
//! 2. [`submit`] makes the same plan and stores run, steps and audit row in one transaction; then it wakes the runner.
//! 3. The [`runner`] [`admit`]s each pending run that nothing blocks and [`run`]s it: mark a step as issued, call
//!    Docker, check the result ([`step`]), store the outcome.
//! 4. The final state of the run and its audit row are stored in one transaction.
//!
//! Web pages, API, schedules and catch-up all use this path.

mod active_runs;
mod admit;
mod cancel;
pub mod early;
mod guard;
mod locks;
mod looks;
mod outdated;
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
pub use admit::disabled_reason;
pub use cancel::cancel;
pub use request::Request;
pub use share::preview;
pub use submit::{Prepared, Submitted, prepare, retry, store, store_all, submit};
