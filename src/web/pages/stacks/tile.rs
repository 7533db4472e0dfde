//! The rows of the dashboard's list: a stack, or a container without a stack. A row is also rendered alone when an
//! event asks the browser to refresh it.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use crate::app::stacks::{self, ContainerView, NextAction, ShownState, StackView, WantedView};
use crate::app::{Result, targets};
use crate::domain::group::Group;
use crate::domain::inventory::{ContainerState, Counts};
use crate::domain::overrides::DesiredState;
use crate::domain::target::{Target, TargetType};
use crate::web::filters;
use crate::web::page::Page;
use crate::web::pages;
use crate::web::pages::actions::Act;
use crate::web::picture::Strip;
use crate::web::shell::Shell;
use crate::web::view;

/// The content of a row: a stack, or a container without a stack.
pub(super) struct Row<'a> {
    pub target: Target,
    pub name: &'a str,
    /// The containers of a stack. Empty for a container.
    pub members: &'a [ContainerView],
    pub shown: ShownState,
    /// The number of containers per state. `None` for a container.
    pub counts: Option<Counts>,
    /// Why DockNap does not act on the target. `None` if the target is not protected.
    pub protected: Option<&'a str>,
    /// Whether the target is of a kind that DockNap acts on.
    pub is_ordinary: bool,
    pub wanted: &'a WantedView,
    /// The next action on the target.
    pub next: Option<&'a NextAction>,
    /// Whether something of the target is up, and whether something is down.
    pub way: (bool, bool),
    /// The groups that it is in.
    pub groups: &'a [Group],
}

impl<'a> From<&'a StackView> for Row<'a> {
    fn from(view: &'a StackView) -> Self {
        let counts = view.stack.counts;
        let up = counts.running > 0 || counts.paused > 0 && !view.napping;
        Self {
            target: view.target(),
            name: &view.stack.name,
            members: &view.containers,
            shown: view.shown,
            counts: Some(counts),
            protected: view.protected.as_deref(),
            is_ordinary: true,
            wanted: &view.wanted,
            next: view.next.as_deref(),
            way: (up, counts.stopped + counts.paused > 0),
            groups: &view.groups,
        }
    }
}

impl<'a> From<&'a ContainerView> for Row<'a> {
    fn from(view: &'a ContainerView) -> Self {
        let state = view.container.state;
        let up = matches!(state, ContainerState::Running | ContainerState::Restarting);
        let down = matches!(state, ContainerState::Created | ContainerState::Exited | ContainerState::Paused);
        Self {
            target: view.container.target(),
            name: &view.container.name,
            members: &[],
            shown: view.shown,
            counts: None,
            protected: view.protected.as_deref(),
            is_ordinary: view.container.is_ordinary(),
            wanted: &view.wanted,
            next: view.next.as_deref(),
            way: (up, down),
            groups: &view.groups,
        }
    }
}

impl Row<'_> {
    /// The id of the row's element. The event that announces a change of the target has the same name.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.target.target_type(), self.target.key())
    }

    /// Whether the reader may act on the target.
    pub(super) fn is_touchable(&self, shell: &Shell) -> bool {
        shell.can_operate() && self.protected.is_none() && self.is_ordinary
    }

    /// The wanted state over the hours of today.
    pub(super) fn strip(&self, shell: &Shell) -> Option<Strip> {
        Strip::of_day(format!("day-{}", self.target.key()), &self.wanted.intervals, 0, &shell.now)
    }

    pub(super) fn acts(&self, shell: &Shell) -> Vec<Act> {
        Act::naps(&self.target, &shell.placed(self.name, &self.target.host), self.way)
    }
}

/// One row alone.
#[derive(Template)]
#[template(path = "stacks/_row.html")]
struct Tile<'a> {
    shell: &'a Shell,
    row: Row<'a>,
}

/// The row alone. If the target is gone, the response tells htmx to remove the row.
pub(super) async fn stack(page: Page, Path(key): Path<String>) -> Result<Response> {
    let day = (page.shell.now.midnight(0), page.shell.now.midnight(1));
    let host = targets::host_of(&page.app, TargetType::Stack, &key);
    match stacks::get_over(&page.app, &page.actor, &host, &key, day).await {
        Ok(view) => page.render(&Tile { shell: &page.shell, row: (&view).into() }),
        Err(error) => pages::gone(error),
    }
}

pub(super) async fn container(page: Page, Path(key): Path<String>) -> Result<Response> {
    let day = (page.shell.now.midnight(0), page.shell.now.midnight(1));
    let host = targets::host_of(&page.app, TargetType::Container, &key);
    match stacks::container_over(&page.app, &page.actor, &host, &key, day).await {
        Ok(view) => page.render(&Tile { shell: &page.shell, row: (&view).into() }),
        Err(error) => pages::gone(error),
    }
}
