//! Late runs whose schedule a label defines: the label may have changed while nobody could read it.

use crate::app::{App, Result};
use crate::db;
use crate::domain::carried_labels;
use crate::domain::inventory::Inventory;
use crate::domain::run::Run;

/// Why a run that comes late does nothing: the label that defines its schedule is another one, or gone, since the
/// instant at which the run was due. `None` where it is the same, and for the run of any other schedule.
pub(super) async fn outdated(app: &App, run: &Run, inventory: &Inventory) -> Result<Option<String>> {
    let Some(id) = &run.schedule_id else { return Ok(None) };
    let Some(schedule) = db::schedules::get(&app.db, id).await? else { return Ok(None) };
    let Some(label) = &schedule.label else { return Ok(None) };
    let is_changed = schedule.deleted_at.is_some()
        || run.fire_at.is_some_and(|at| at < schedule.effective_from)
        || match carried_labels::of_target(inventory, &schedule.spec.target)
            .into_iter()
            .find(|carried| carried.rule.label == label.label)
        {
            Some(carried) => carried.is_faulty || carried.rule.text() != label.text,
            // A container that is gone keeps its schedules for a while.
            None => inventory.by_identity(&label.carrier).is_some(),
        };
    Ok(is_changed.then(|| format!("the label {} has changed since it was due", label.label)))
}
