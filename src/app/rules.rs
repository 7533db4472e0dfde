//! Everything that says what should sleep, as the domain reads it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::almanac::Almanac;
use super::outlook::Outlook;
use super::{App, Result};
use crate::db;
use crate::domain::contradiction::contradicts;
use crate::domain::desired::Rules;
use crate::domain::inventory::{ContainerState, Inventory};
use crate::domain::overrides::{Override, Place};
use crate::domain::run::{Run, Trigger};
use crate::domain::schedule::Schedule;
use crate::domain::target::ContainerIdentity;

/// The window schedules that are on, and the overrides that have not been closed. Read anew each time: what is shown
/// must be what fires.
pub async fn load(app: &App) -> Result<Rules> {
    let windows = db::schedules::windows(&app.db).await?;
    let overrides = db::overrides::open(&app.db).await?;
    if windows.is_empty() {
        return Ok(Rules::new(Vec::new(), overrides));
    }
    let almanac = Almanac::load(app).await?;
    Ok(put_together(&windows, overrides, &almanac))
}

/// As [`load`], where times are known to be read by `almanac`.
pub(super) async fn load_by(app: &App, almanac: &Almanac) -> Result<Rules> {
    let windows = db::schedules::windows(&app.db).await?;
    Ok(put_together(&windows, db::overrides::open(&app.db).await?, almanac))
}

fn put_together(windows: &[Schedule], overrides: Vec<Override>, almanac: &Almanac) -> Rules {
    Rules::new(windows.iter().filter_map(|schedule| almanac.rule(schedule)).collect(), overrides)
}

/// The members of a run's target that it leaves alone, with the reason: those of which a hold, an override or a
/// narrower window wants something else at `now`. What a person or a token asks for is done all the same.
pub(super) fn left_alone(
    run: &Run,
    inventory: &Inventory,
    outlook: &Outlook,
    now: Timestamp,
) -> HashMap<ContainerIdentity, String> {
    let by_level = is_level(run);
    let by_edge = !by_level
        && matches!(run.trigger, Trigger::Schedule | Trigger::CatchUp | Trigger::Label | Trigger::Override);
    let mut left = HashMap::new();
    if !by_level && !by_edge {
        return left;
    }
    let moment = outlook.rules.at(now);
    let naps = outlook.naps(&run.target.host);
    for member in inventory.members(&run.target.subject) {
        let desired = moment.desired(Place::of(&member));
        let contradicts = match desired.wanted {
            // The rule is gone since the run was stored.
            None => by_level && !run.puts_back,
            Some(wanted) => contradicts(run.action, wanted),
        };
        if contradicts && (by_level || desired.rule().is_none()) {
            let why = desired.why(&outlook.zone);
            left.insert(
                member.identity.clone(),
                if why.is_empty() { "no rule asks for it any more".to_owned() } else { why },
            );
        } else if by_level
            && run.action.reverses_order()
            && member.state == ContainerState::Paused
            && !naps
                .and_then(|naps| naps.get(&member.identity))
                .is_some_and(|nap| nap.holds(&member, inventory))
        {
            left.insert(member.identity.clone(), "paused by somebody else: left as it is".to_owned());
        }
    }
    left
}

/// Whether a run makes a window's or an override's state so, rather than doing something once. A fire that an override
/// held back has its schedule.
pub(super) fn is_level(run: &Run) -> bool {
    match run.trigger {
        Trigger::Window => true,
        Trigger::Override => run.schedule_id.is_none(),
        _ => false,
    }
}
