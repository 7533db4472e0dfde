//! The reasons for which a schedule does nothing.

use jiff::Timestamp;

use crate::app::rulebook::RuleBook;
use crate::domain::schedule::{LabelOff, Schedule};

/// Why a schedule that no label defines does nothing.
pub(super) const UNUSED: &str =
    "DOCKNAP_LABELS is only: schedules that no label defines are kept and do nothing.";

/// Why a schedule does nothing, as a sentence.
pub(super) fn off_reason(schedule: &Schedule, book: &RuleBook) -> Option<String> {
    if !book.uses(schedule.source) {
        return schedule.spec.enabled.then(|| UNUSED.to_owned());
    }
    let label = schedule.label.as_ref()?;
    let day = |at: Timestamp| at.to_zoned(book.zone.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    Some(match (label.off, label.gone_at) {
        (Some(LabelOff::Gone), Some(at)) => {
            format!(
                "Off: its container is gone since {}. It is on again when the container is back.",
                day(at)
            )
        }
        (_, Some(at)) => format!("Its container is gone since {}.", day(at)),
        (Some(LabelOff::Gone), None) => "Off: its container is gone.".to_owned(),
        (Some(LabelOff::Copied), None) => {
            "Off: it was copied to an editable schedule. It is on again when the label changes.".to_owned()
        }
        (Some(LabelOff::Setting), None) => "Off: DOCKNAP_LABELS is off, so no label is read.".to_owned(),
        (Some(LabelOff::Faulty), None) => {
            format!("Off: the label {} cannot be used as it is now.", label.label)
        }
        (None, None) => return None,
    })
}
