//! A stack, or a container without one, in the list of the first page.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::{NextLine, counts};
use crate::app::stacks::{self, ContainerView, StackView};
use crate::app::{Error, Result};
use crate::domain::ids::HostId;
use crate::domain::inventory::ContainerState;
use crate::domain::target::TargetType;
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::pages;
use crate::web::pages::actions::Act;
use crate::web::pages::wanted::Imposed;
use crate::web::picture::Strip;
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Now};

/// A stack, or a container without one, in the list.
#[derive(Clone, Debug)]
pub struct Row {
    /// The element's id, and the name of the event that says it changed.
    pub id: String,
    pub href: String,
    /// What a form names it by; empty where it cannot be chosen.
    pub pick: String,
    pub name: String,
    pub state: Badge,
    /// `4 of 5 up`; empty for a container.
    pub counts: String,
    /// Why it is never touched.
    pub protected: Option<String>,
    /// An override that counts now.
    pub imposed: Option<Imposed>,
    /// Its hours today.
    pub strip: Option<Strip>,
    /// What comes next.
    pub next: Option<NextLine>,
    pub acts: Vec<Act>,
}

impl Row {
    /// A stack in the list.
    pub fn stack(view: &StackView, operates: bool, now: &Now) -> Self {
        let (key, name, counted) = (&view.stack.key, &view.stack.name, view.stack.counts);
        let touched = operates && view.protected.is_none();
        let up = counted.running > 0 || counted.paused > 0 && !view.napping;
        Self {
            id: format!("stack-{key}"),
            href: format!("/stacks/{key}"),
            pick: if touched { format!("stack/{key}") } else { String::new() },
            name: view::shown_name(name),
            state: view.shown.into(),
            counts: counts(counted),
            protected: view.protected.clone(),
            imposed: Imposed::of(&view.wanted, now),
            strip: Strip::of_day(format!("day-{key}"), &view.wanted.spells, 0, now),
            next: view.next.as_ref().map(|next| NextLine::new(next, None, now)),
            acts: if touched {
                Act::naps(TargetType::Stack, key, name, up, counted.stopped + counted.paused > 0)
            } else {
                Vec::new()
            },
        }
    }

    /// A container without a stack in the list.
    pub fn container(view: &ContainerView, operates: bool, now: &Now) -> Self {
        let key = view.container.key();
        let touched = operates && view.protected.is_none() && view.container.is_ordinary();
        let state = view.container.state;
        let up = matches!(state, ContainerState::Running | ContainerState::Restarting);
        let down = matches!(state, ContainerState::Created | ContainerState::Exited | ContainerState::Paused);
        Self {
            id: format!("container-{key}"),
            href: format!("/containers/{key}"),
            pick: if touched { format!("container/{key}") } else { String::new() },
            name: view::shown_name(&view.container.name),
            state: view.shown.into(),
            counts: String::new(),
            protected: view.protected.clone(),
            imposed: Imposed::of(&view.wanted, now),
            strip: Strip::of_day(format!("day-{key}"), &view.wanted.spells, 0, now),
            next: view.next.as_ref().map(|next| NextLine::new(next, None, now)),
            acts: if touched {
                Act::naps(TargetType::Container, &key, &view.container.name, up, down)
            } else {
                Vec::new()
            },
        }
    }
}

/// One row by itself, as an event asks for it.
#[derive(Template, Clone, Debug)]
#[template(path = "stacks/_row.html")]
pub struct Tile {
    pub shell: Shell,
    /// The row.
    pub row: Row,
}

/// The row, or word that its place goes where what it showed is gone.
fn answer(row: Result<Row>, shell: Shell) -> Result<Response> {
    match row {
        Ok(row) => Ok(pages::html(&Tile { shell, row })?.into_response()),
        Err(Error::NotFound { .. }) => Ok(pages::gone()),
        Err(other) => Err(other),
    }
}

pub(super) async fn stack(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Path(key): Path<String>,
    shell: Shell,
) -> Result<Response> {
    let now = pages::now(&web, &shell);
    let day = (now.midnight(0), now.midnight(1));
    let view = stacks::get_over(&web.app, &caller.actor, &HostId::local(), &key, day).await;
    answer(view.map(|view| Row::stack(&view, shell.can_operate(), &now)), shell)
}

pub(super) async fn container(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Path(key): Path<String>,
    shell: Shell,
) -> Result<Response> {
    let now = pages::now(&web, &shell);
    let day = (now.midnight(0), now.midnight(1));
    let view = stacks::container_over(&web.app, &caller.actor, &HostId::local(), &key, day).await;
    answer(view.map(|view| Row::container(&view, shell.can_operate(), &now)), shell)
}
