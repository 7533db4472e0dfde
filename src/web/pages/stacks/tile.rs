//! A stack, or a container without one, in the list of the first page.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use crate::app::stacks::{self, ContainerView, NextAction, ShownState, StackView, WantedView};
use crate::app::{Result, targets};
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

/// What the list shows of a stack, or of a container without one.
pub(super) struct Row<'a> {
    pub target: Target,
    pub name: &'a str,
    /// A stack's containers.
    pub members: &'a [ContainerView],
    pub shown: ShownState,
    /// How many of a stack's containers are how.
    pub counts: Option<Counts>,
    /// Why it is never touched.
    pub protected: Option<&'a str>,
    /// It is of a kind that DockNap may touch.
    pub is_ordinary: bool,
    pub wanted: &'a WantedView,
    /// What comes next.
    pub next: Option<&'a NextAction>,
    /// Something of it is up; something of it is down.
    pub way: (bool, bool),
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
        }
    }
}

impl Row<'_> {
    /// Its element, and the event that says it changed.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.target.target_type(), self.target.key())
    }

    /// The reader may do something to it.
    pub(super) fn is_touchable(&self, shell: &Shell) -> bool {
        shell.can_operate() && self.protected.is_none() && self.is_ordinary
    }

    /// Its hours today.
    pub(super) fn strip(&self, shell: &Shell) -> Option<Strip> {
        Strip::of_day(format!("day-{}", self.target.key()), &self.wanted.intervals, 0, &shell.now)
    }

    pub(super) fn acts(&self) -> Vec<Act> {
        Act::naps(&self.target, self.name, self.way)
    }
}

/// One row by itself, as an event asks for it.
#[derive(Template)]
#[template(path = "stacks/_row.html")]
struct Tile<'a> {
    shell: &'a Shell,
    row: Row<'a>,
}

/// The row, or word that its place goes where what it showed is gone.
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
