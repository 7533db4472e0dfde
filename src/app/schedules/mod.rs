//! Schedules: what is typed is checked as a whole, what is stored can fire, and every change leaves an audit row.

mod change;
mod check;
mod lint;
mod preview;
mod rezone;
mod timing;
mod view;
mod weekly;

pub use change::{
    adopt, create, delete, disable, enable, left, restore, run_now, skip_next, unskip_next, update,
};
pub use check::{Draft, GuardDraft, MAX_PRIORITY};
pub use lint::Clash;
pub use preview::{DryRun, Now, Preview, dry_run, preview};
pub use rezone::rezone;
pub(crate) use rezone::{switched_on, time_anew};
pub use view::{Coming, LastRun, ScheduleFilter, ScheduleView, coming, conflicts, get, is_skipping, list};
pub use weekly::{Mark, marks};

/// What a save answers.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The schedule as it is now.
    pub view: ScheduleView,
    /// What the person should know about it; whole sentences.
    pub warnings: Vec<String>,
    /// For a window that is on: what saving it did at once (rulings 3).
    pub now: Option<preview::Now>,
}
