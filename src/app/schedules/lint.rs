//! Warns of schedules that meet on one target in one minute (semantics §4), before they do.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::super::almanac::Almanac;
use super::super::zone::NamedZone;
use super::super::{App, Result};
use crate::db;
use crate::domain::conflict;
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::{Schedule, ScheduleSpec};

/// Schedules a new one is compared with at most, oldest first.
const MOST_OTHERS: i64 = 100;
/// Clashes told at most.
const MOST_TOLD: usize = 5;

/// Sentences about the schedules that `spec` meets. `itself` is the one it replaces.
pub(super) async fn clashes(
    app: &App,
    spec: &ScheduleSpec,
    itself: Option<&ScheduleId>,
    almanac: &Almanac,
    now: Timestamp,
) -> Result<Vec<String>> {
    if !spec.enabled {
        return Ok(Vec::new());
    }
    let zone = almanac.zone_of(spec);
    let Some(fires) = almanac.fires(spec, None) else { return Ok(Vec::new()) };
    let others = db::schedules::touching(&app.db, &spec.target, MOST_OTHERS).await?;
    let mut told = Vec::new();
    for other in others
        .iter()
        .filter(|other| Some(&other.id) != itself && spec.target.shares_container(&other.spec.target))
    {
        let Some(their_fires) = almanac.fires(&other.spec, None) else { continue };
        if let Some(at) = conflict::first_clash(&fires, &their_fires, now) {
            told.push(tell(spec, other, at, &zone));
            if told.len() == MOST_TOLD {
                break;
            }
        }
    }
    Ok(told)
}

/// "At 2026-11-29 23:00 (UTC) “Restart media” fires in the same minute: that one goes first and this one is skipped."
fn tell(spec: &ScheduleSpec, other: &Schedule, at: Timestamp, zone: &NamedZone) -> String {
    let when = at.to_zoned(zone.zone.clone()).strftime("%Y-%m-%d %H:%M");
    let start = format!("At {when} ({}) “{}” fires in the same minute", zone.name, other.title());
    match conflict::precedence_of(spec, &other.spec) {
        _ if spec.action == other.spec.action => {
            format!("{start} and does the same; one of the two is enough.")
        }
        Ordering::Less => format!("{start}: this one goes first and that one is skipped."),
        Ordering::Greater => format!("{start}: that one goes first and this one is skipped."),
        Ordering::Equal => format!("{start}: the older of the two goes first and the other is skipped."),
    }
}
