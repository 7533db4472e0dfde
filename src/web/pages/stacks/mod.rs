//! The dashboard, the page of a stack, and the rows of both kinds of target in the dashboard's list.

use crate::app::stacks::{NextAction, ShownState};
use crate::domain::action::Action;
use crate::domain::inventory::Counts;
use crate::web::routes::{Access, Routes};
use crate::web::view::{self, Badge};

mod attention;
mod attention_actions;
mod dashboard;
mod show;
mod tile;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/", Access::VIEWER, dashboard::index)
        .get("/stacks/{key}", Access::VIEWER, show::show)
        .get("/stacks/{key}/tile", Access::VIEWER, tile::stack)
        .get("/containers/{key}/tile", Access::VIEWER, tile::container)
        .merge(attention_actions::routes())
}

impl From<ShownState> for Badge {
    fn from(state: ShownState) -> Self {
        match state {
            ShownState::Running => Self::RUNNING,
            ShownState::Napping => Self::NAPPING,
            ShownState::Paused => Self::PAUSED,
            ShownState::Stopped => Self::STOPPED,
            ShownState::Partial => Self::PARTIAL,
            ShownState::Starting => Self::STARTING,
            ShownState::Unhealthy => Self::UNHEALTHY,
            ShownState::RestartLooping => Self::LOOPING,
            ShownState::Unreachable => Self::UNREACHABLE,
            ShownState::Completed => Self::COMPLETED,
        }
    }
}

/// The icon and the label of the next action, and the query of the URL that runs it now. A window has two edges, so the
/// query names one of them.
fn coming(next: &NextAction) -> (&'static str, &'static str, &'static str) {
    match (next.by_window, next.action) {
        (true, Action::Start) => ("sunrise", "Wake", "?edge=wake"),
        (true, _) => ("moon", "Nap", "?edge=sleep"),
        (false, action) => (view::action_icon(action), action.label(), ""),
    }
}

fn counts(counts: &Counts) -> String {
    match counts {
        Counts { total: 0, .. } => "nothing to run".to_owned(),
        Counts { running, paused: 0, total, .. } => format!("{running} of {total} up"),
        Counts { running, paused, total, .. } => format!("{running} of {total} up, {paused} paused"),
    }
}
