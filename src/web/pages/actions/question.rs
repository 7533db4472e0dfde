//! The question with its plan that comes before something is done, and the message after it.
//!
//! The question is a page of its own, so that it works without scripts; htmx asks for the same thing as a dialog.

use std::convert::Infallible;
use std::slice::ChunkBy;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use super::TargetAction;
use super::ends::Ends;
use crate::app::execute::Submitted;
use crate::app::{FieldError, Result};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::plan::{Plan, PlannedStep, SkippedStep};
use crate::domain::target::Target;
use crate::web::Web;
use crate::web::auth::Needs;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::session;
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Link};

/// What would happen to one target.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Its name; empty where the question is about it alone.
    pub name: String,
    pub plan: Plan,
    /// A person says of what nobody watched as it ended whether it is started.
    pub asks: bool,
    /// When it ends where no end is chosen; may be empty.
    pub ends: String,
}

impl Part {
    /// Steps that go together, in the order of their waves.
    fn waves(&self) -> ChunkBy<'_, PlannedStep, impl FnMut(&PlannedStep, &PlannedStep) -> bool> {
        self.plan.steps.chunk_by(|one, next| one.wave == next.wave)
    }

    /// What is started only where its box is ticked.
    fn boxes(&self) -> Vec<&SkippedStep> {
        self.plan.skipped.iter().filter(|skip| self.asks && skip.unwatched).collect()
    }

    /// What is left alone.
    fn skipped(&self) -> Vec<&SkippedStep> {
        self.plan.skipped.iter().filter(|skip| !self.asks || !skip.unwatched).collect()
    }

    /// What must be so before a step, and why it is there; empty where there is nothing to say.
    fn note(&self, step: &PlannedStep) -> String {
        let waits = Some(view::waits(&step.wait_for)).filter(|waits| !waits.is_empty());
        let waits = waits.map(|waits| format!("waits for {waits}"));
        waits.into_iter().chain(step.because.clone()).collect::<Vec<_>>().join("; ")
    }

    fn is_idle(&self) -> bool {
        self.plan.steps.is_empty() && self.boxes().is_empty()
    }
}

/// What is asked before something is done.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// `Stop media?`
    pub title: String,
    /// What the button says.
    pub label: String,
    /// The button's symbol.
    pub icon: &'static str,
    /// Whether the button warns by its colour: something goes down.
    pub harsh: bool,
    /// Where the answer goes.
    pub action: String,
    /// Where "Cancel" goes.
    pub back: Link,
    /// A sentence under the title; may be empty.
    pub text: String,
    /// What would happen; empty for a question that is not about containers.
    pub parts: Vec<Part>,
    /// Boxes that are ticked.
    pub ticked: Vec<String>,
    /// What is sent with the answer.
    pub hidden: Vec<(&'static str, String)>,
    /// The answer leads nowhere: whoever gave it stays where they are, and is told in the corner.
    pub stays: bool,
    /// A revision that must still be the stored one.
    pub rev: Option<i64>,
    /// How long it lasts; `None` where that is not asked.
    pub ends: Option<Ends>,
    /// Why, as typed; `None` where that is not asked.
    pub reason: Option<String>,
    /// What is wrong with what was typed.
    pub errors: Vec<FieldError>,
}

/// The question as a page.
#[derive(Template)]
#[template(path = "actions/confirm.html")]
struct ConfirmPage<'a> {
    shell: &'a Shell,
    q: &'a Question,
}

/// The question as a dialog over the page it was asked from. A template of its own, since a block that the base does
/// not have renders empty.
#[derive(Template)]
#[template(path = "actions/dialog.html")]
struct ConfirmDialog<'a> {
    shell: &'a Shell,
    q: &'a Question,
}

impl Question {
    /// The question before something is done to a target.
    pub(super) fn of(action: TargetAction, target: &Target, name: &str) -> Self {
        let (page, name) = (view::target_page(target), view::shown_name(name));
        let label = action.label_of(&name);
        let (title, label) = match action {
            TargetAction::Nap => (format!("Put {name} to sleep?"), format!("{label} now")),
            _ => (format!("{label}?"), label),
        };
        Self {
            title,
            label,
            icon: action.icon(),
            harsh: action.is_harsh(),
            action: format!("{page}/{}", action.word()),
            back: Link::new(page, format!("Back to {name}")),
            ..Self::default()
        }
    }

    /// The question before an action.
    pub fn action(action: Action, target: &Target, name: &str, plan: Plan) -> Self {
        let parts = vec![Part { plan, ..Part::default() }];
        Self { parts, ..Self::of(TargetAction::Do(action), target, name) }
    }

    /// The same question in the words of naps.
    #[must_use]
    pub fn into_nap(self, wakes: bool, target: &Target, name: &str) -> Self {
        let action = if wakes { TargetAction::Wake } else { TargetAction::Nap };
        let Self { title, label, icon, .. } = Self::of(action, target, name);
        Self { title, label, icon, harsh: false, ..self }
    }

    /// The same where the answer leads nowhere: without scripts back to the page it was asked from.
    #[must_use]
    pub fn staying(mut self, whence: &Whence) -> Self {
        let back = whence.or(&self.back.href);
        if back != self.back.href {
            self.back = Link::new(back.clone(), "Back");
        }
        self.hidden.push(("back", back));
        Self { stays: true, ..self }
    }

    /// The question as htmx or a browser asks for it; 422 where what was sent with it cannot be taken.
    pub fn ask<R: Needs>(&self, page: &Page<R>) -> Result<Response> {
        let (shell, q) = (&page.shell, self);
        let is_sound = self.errors.is_empty();
        let status = if is_sound { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        if page.htmx.partial {
            page.answer(status, &ConfirmDialog { shell, q })
        } else {
            page.answer(status, &ConfirmPage { shell, q })
        }
    }

    /// Nothing would be done: the button would be a lie.
    fn is_idle(&self) -> bool {
        self.ends.is_none() && !self.parts.is_empty() && self.parts.iter().all(Part::is_idle)
    }

    fn is_ticked(&self, one: &SkippedStep) -> bool {
        self.ticked.contains(&one.identity.to_text())
    }

    /// What is wrong with a field.
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// To the run that was asked for; says so where it was under way already.
pub async fn to_run<R: Needs>(page: &Page<R>, submitted: &Submitted) -> Response {
    let path = format!("/runs/{}", submitted.run_id());
    match submitted {
        Submitted::New { .. } => page.redirect(&path),
        Submitted::Duplicate { .. } => {
            let told = Flash::new("info", "This was under way already; here it is.");
            page.redirect_with(&path, told).await
        }
    }
}

/// The page that a question was asked from, as its reader's browser tells.
pub struct Whence(Option<String>);

impl Whence {
    /// As it was sent with the answer.
    pub fn sent(typed: &Typed) -> Self {
        Self(session::local(typed.get("back")))
    }

    /// The page, or `other` where none is told. A page of its own that a question is, and one for who is not logged in,
    /// are none to go back to.
    pub fn or(&self, other: &str) -> String {
        let is_place = |path: &&String| {
            let path = path.split('?').next().unwrap_or_default();
            let last = path.rsplit('/').next().unwrap_or_default();
            !["login", "setup", "actions", "run", "undo"].contains(&last)
                && !path.starts_with("/invite/")
                && TargetAction::parse(last).is_none()
        };
        self.0.as_ref().filter(is_place).map_or_else(|| other.to_owned(), Clone::clone)
    }
}

impl FromRequestParts<Web> for Whence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> std::result::Result<Self, Infallible> {
        Ok(Self(session::page_of(&parts.headers, web.base())))
    }
}

/// What became of an action, with the way to its run and the way back.
pub fn told(action: TargetAction, name: &str, submitted: &Submitted) -> Flash {
    let name = view::shown_name(name);
    let toast = match submitted {
        Submitted::New { idle: None, .. } => Flash::new("good", format!("{name} {}.", action.does(1))),
        Submitted::New { idle: Some(why), .. } => {
            Flash::new("info", format!("{name} stays as it is: {why}."))
        }
        Submitted::Duplicate { .. } => {
            Flash::new("info", format!("{}: this was under way already.", action.label_of(&name)))
        }
    };
    let toast = toast.with_link(format!("/runs/{}", submitted.run_id()), "View run");
    if action.can_be_undone(submitted) { undoable(toast, [submitted.run_id()]) } else { toast }
}

/// A message with the button that undoes these runs.
pub(super) fn undoable<'a>(toast: Flash, runs: impl IntoIterator<Item = &'a RunId>) -> Flash {
    let runs: Vec<String> = runs.into_iter().map(|id| format!("run={id}")).collect();
    toast.with_undo(format!("/undo?{}", runs.join("&")))
}
