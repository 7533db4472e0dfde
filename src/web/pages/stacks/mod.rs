//! The first page, and one stack.

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

/// The words for what will happen.
mod coming {
    use super::{Action, NextAction, view};

    pub(super) fn icon(next: &NextAction) -> &'static str {
        match next.action {
            Action::Start if next.by_window => "sunrise",
            _ if next.by_window => "moon",
            action => view::action_icon(action),
        }
    }

    pub(super) fn word(next: &NextAction) -> &'static str {
        match next.action {
            Action::Start if next.by_window => "Wake",
            _ if next.by_window => "Nap",
            action => action.label(),
        }
    }

    pub(super) fn title(next: &NextAction, name: &str) -> String {
        format!("{} {}", word(next), view::shown_name(name))
    }

    /// The query that runs it now: of a window there are two edges.
    pub(super) fn edge(next: &NextAction) -> &'static str {
        match next.action {
            _ if !next.by_window => "",
            Action::Start => "?edge=wake",
            _ => "?edge=sleep",
        }
    }

    /// It can be left out this once: not the end of a sleep.
    pub(super) fn can_be_skipped(next: &NextAction) -> bool {
        !next.by_window || next.action != Action::Start
    }
}

fn counts(counts: &Counts) -> String {
    match counts {
        Counts { total: 0, .. } => "nothing to run".to_owned(),
        Counts { running, paused: 0, total, .. } => format!("{running} of {total} up"),
        Counts { running, paused, total, .. } => format!("{running} of {total} up, {paused} paused"),
    }
}
