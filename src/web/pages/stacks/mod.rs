//! The first page, and one stack.

use super::actions::Act;
use crate::app::stacks::{NextAction, ShownState};
use crate::domain::action::Action;
use crate::domain::inventory::Counts;
use crate::web::routes::{Access, Routes};
use crate::web::view::{self, Badge, Now, When};

mod dashboard;
mod needs;
mod show;
mod tile;

pub use dashboard::{Away, Dashboard, Find, StateChip};
pub use needs::{Cure, HiddenNeed, Need};
pub use show::{LabelGroup, StackPage, Tab, Underway, WakerLine};
pub use tile::{Row, Tile};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/", Access::VIEWER, dashboard::index)
        .get("/stacks/{key}", Access::VIEWER, show::show)
        .get("/stacks/{key}/tile", Access::VIEWER, tile::stack)
        .get("/containers/{key}/tile", Access::VIEWER, tile::container)
        .merge(needs::acts::routes())
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

/// Something that will happen.
#[derive(Clone, Debug)]
pub struct NextLine {
    /// The action's symbol.
    pub icon: &'static str,
    /// `Stop`, or `Stop media` where the target is not plain.
    pub title: String,
    pub when: When,
    pub href: String,
    /// Does it now; `None` where the reader is not asked.
    pub now: Option<Act>,
    /// Leaves it out this once; `None` where it is the end of a sleep.
    pub skip: Option<String>,
}

impl NextLine {
    fn new(next: &NextAction, of: Option<&str>, now: &Now) -> Self {
        let (icon, word) = match next.action {
            Action::Start if next.by_window => ("sunrise", "Wake"),
            _ if next.by_window => ("moon", "Nap"),
            action => (view::action_icon(action), action.label()),
        };
        let title = match of {
            Some(name) => format!("{word} {}", view::shown_name(name)),
            None => word.to_owned(),
        };
        let href = format!("/schedules/{}", next.schedule_id);
        let wakes = next.by_window && next.action == Action::Start;
        let edge = match (next.by_window, wakes) {
            (false, _) => "",
            (true, false) => "?edge=sleep",
            (true, true) => "?edge=wake",
        };
        let run = Act {
            action: "run",
            label: "Run now",
            icon: "play",
            href: format!("{href}/run{edge}"),
            of: title.clone(),
        };
        Self {
            icon,
            title,
            when: now.when(next.at),
            now: of.map(|_| run),
            skip: of.filter(|_| !wakes).map(|_| format!("{href}/skip")),
            href,
        }
    }
}

fn counts(counts: Counts) -> String {
    match counts {
        Counts { total: 0, .. } => "nothing to run".to_owned(),
        Counts { running, paused: 0, total, .. } => format!("{running} of {total} up"),
        Counts { running, paused, total, .. } => format!("{running} of {total} up, {paused} paused"),
    }
}
