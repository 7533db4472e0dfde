//! The first page, and one stack.

use super::actions::Act;
use super::wanted::with_naps;
use crate::app::stacks::{NextAction, ShownState, StackView};
use crate::domain::action::Action;
use crate::domain::inventory::Counts;
use crate::domain::target::TargetType;
use crate::web::routes::{Access, Routes};
use crate::web::view::{self, Badge, Now, When};

mod dashboard;
mod show;

pub use dashboard::{Away, Dashboard, Need, Row, RowAgain};
pub use show::{StackPage, Underway};

pub(super) fn routes() -> Routes {
    Routes::new().get("/", Access::VIEWER, dashboard::index).get("/stacks/{key}", Access::VIEWER, show::show)
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
    /// When.
    pub when: When,
    /// The schedule.
    pub href: String,
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
        Self { icon, title, when: now.when(next.at), href: format!("/schedules/{}", next.schedule_id) }
    }
}

/// The buttons of a stack.
fn stack_acts(view: &StackView) -> Vec<Act> {
    let (key, name, counts) = (&view.stack.key, &view.stack.name, view.stack.counts);
    let acts = Act::of_stack(counts, key, name);
    let way = (counts.running > 0, counts.stopped + counts.paused > 0);
    with_naps(acts, &view.wanted, TargetType::Stack, key, name, way)
}

fn counts(counts: Counts) -> String {
    match counts {
        Counts { total: 0, .. } => "nothing to run".to_owned(),
        Counts { running, paused: 0, total, .. } => format!("{running} of {total} up"),
        Counts { running, paused, total, .. } => format!("{running} of {total} up, {paused} paused"),
    }
}

fn sample_next(action: Action, of: &str, seconds: i64) -> NextLine {
    NextLine {
        icon: view::action_icon(action),
        title: format!("{}{of}", action.label()),
        when: Now::sample().plus(seconds),
        href: "/schedules/1".to_owned(),
    }
}
