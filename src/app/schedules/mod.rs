//! Schedules: validation of submitted fields, storage with an audit row for every change, previews and views.

mod change;
mod check;
mod draft;
mod elsewhere;
mod labels;
mod lint;
mod planned;
mod preview;
mod rezone;
mod target;
mod timing;
mod unused;
mod view;
mod weekly;

pub use change::{
    Saved, adopt, create, delete, disable, enable, left, restore, run_now, skip_next, unskip_next, update,
};
pub(in crate::app) use change::{leave_host, of_host};
pub use draft::{Draft, GuardDraft};
pub use elsewhere::{Elsewhere, copy, counterpart, move_to, same_name};
pub(crate) use labels::follow_labels;
pub use labels::{LabelFaults, copy_to_editable, label_faults};
pub use lint::Clash;
pub(in crate::app) use planned::{
    Planned, changed_fields, delete_in, planned, put_in, slug_base, switch_off_in, tell,
};
pub use preview::{DryRun, Now, Preview, dry_run, preview};
pub use rezone::rezone;
pub(crate) use rezone::{switched_on, time_anew};
pub(in crate::app) use target::{check_services, narrowed};
pub(in crate::app) use timing::PASSED;
pub use view::{Coming, LastRun, ScheduleFilter, ScheduleView, coming, conflicts, get, is_skipping, list};
pub use weekly::{Mark, marks};
