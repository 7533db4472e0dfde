//! The confirmation that shows the plan before an action, and the message after it.
//!
//! The confirmation is a page of its own, so that it works without scripts. htmx requests the same confirmation as a
//! dialog.

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
use crate::web::view::{self, Choice, Link};

/// The plan for one target of a confirmation.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// The target's name. Empty where the confirmation has only this target.
    pub name: String,
    pub plan: Plan,
    /// Whether the user chooses about containers that ended with exit code 0 while DockNap was not watching: each gets
    /// a checkbox.
    pub asks: bool,
    /// When the nap or wake ends if no end is chosen. May be empty.
    pub ends: String,
}

impl Part {
    /// The steps, grouped by wave.
    fn waves(&self) -> ChunkBy<'_, PlannedStep, impl FnMut(&PlannedStep, &PlannedStep) -> bool> {
        self.plan.steps.chunk_by(|one, next| one.wave == next.wave)
    }

    /// Containers that start only if their checkbox is ticked.
    fn boxes(&self) -> Vec<&SkippedStep> {
        self.plan.skipped.iter().filter(|skip| self.asks && skip.unwatched).collect()
    }

    /// Containers that the action leaves as they are.
    fn skipped(&self) -> Vec<&SkippedStep> {
        self.plan.skipped.iter().filter(|skip| !self.asks || !skip.unwatched).collect()
    }

    /// The conditions that a step waits for, and why the step is in the plan. Empty if there are neither.
    fn note(&self, step: &PlannedStep) -> String {
        let waits = Some(view::waits(&step.wait_for)).filter(|waits| !waits.is_empty());
        let waits = waits.map(|waits| format!("waits for {waits}"));
        waits.into_iter().chain(step.because.clone()).collect::<Vec<_>>().join("; ")
    }

    fn is_idle(&self) -> bool {
        self.plan.steps.is_empty() && self.boxes().is_empty()
    }
}

/// A choice that the user makes in a confirmation.
#[derive(Clone, Debug, Default)]
pub struct Pick {
    /// The name of the form field.
    pub name: &'static str,
    pub label: String,
    pub options: Vec<Choice>,
}

/// A confirmation before an action.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The heading, as in `Stop media?`
    pub title: String,
    /// The text of the button.
    pub label: String,
    /// The icon of the button.
    pub icon: &'static str,
    /// Whether the button has a warning colour, because the action stops or pauses something.
    pub harsh: bool,
    /// The path to which the form is sent.
    pub action: String,
    /// The link of "Cancel".
    pub back: Link,
    /// A sentence below the title. May be empty.
    pub text: String,
    /// The plan of each target. Empty for a confirmation that is not about containers.
    pub parts: Vec<Part>,
    /// The values of the ticked checkboxes: identities of containers.
    pub ticked: Vec<String>,
    /// Hidden form fields, as name and value.
    pub hidden: Vec<(&'static str, String)>,
    /// Whether the user stays on the page after the form is sent and gets a message in the corner, in place of a
    /// redirect to another page.
    pub stays: bool,
    /// The revision that the stored object must still have when the form is sent.
    pub rev: Option<i64>,
    /// How long the nap or wake lasts. `None` if the confirmation has no such field.
    pub ends: Option<Ends>,
    /// The choice. `None` if the confirmation has no such field.
    pub pick: Option<Pick>,
    /// The entered reason. `None` if the confirmation has no such field.
    pub reason: Option<String>,
    /// Errors in the form fields.
    pub errors: Vec<FieldError>,
}

/// The confirmation as a page.
#[derive(Template)]
#[template(path = "actions/confirm.html")]
struct ConfirmPage<'a> {
    shell: &'a Shell,
    q: &'a Question,
}

/// The confirmation as a dialog above the page that requested it. A separate template is necessary: askama renders a
/// block as empty if the base template does not have that block.
#[derive(Template)]
#[template(path = "actions/dialog.html")]
struct ConfirmDialog<'a> {
    shell: &'a Shell,
    q: &'a Question,
}

impl Question {
    /// The confirmation for a [`TargetAction`], still without the plan.
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

    /// The confirmation for an action with its plan.
    pub fn action(action: Action, target: &Target, name: &str, plan: Plan) -> Self {
        let parts = vec![Part { plan, ..Part::default() }];
        Self { parts, ..Self::of(TargetAction::Do(action), target, name) }
    }

    /// The same confirmation with the texts of a nap or a wake.
    #[must_use]
    pub fn into_nap(self, wakes: bool, target: &Target, name: &str) -> Self {
        let action = if wakes { TargetAction::Wake } else { TargetAction::Nap };
        let Self { title, label, icon, .. } = Self::of(action, target, name);
        Self { title, label, icon, harsh: false, ..self }
    }

    /// The same confirmation for a form that leaves the user on the page. Without scripts the form redirects back to
    /// the page that requested the confirmation.
    #[must_use]
    pub fn staying(mut self, whence: &Whence) -> Self {
        let back = whence.or(&self.back.href);
        if back != self.back.href {
            self.back = Link::new(back.clone(), "Back");
        }
        self.hidden.push(("back", back));
        Self { stays: true, ..self }
    }

    /// The response: a dialog for htmx, a page for a browser. The status is 422 if form fields have errors.
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

    /// Whether the action would change nothing. The confirmation has no button then.
    fn is_idle(&self) -> bool {
        self.ends.is_none() && !self.parts.is_empty() && self.parts.iter().all(Part::is_idle)
    }

    fn is_ticked(&self, one: &SkippedStep) -> bool {
        self.ticked.contains(&one.identity.to_text())
    }

    /// The error of a form field.
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// Redirects to the submitted run, with a message if the run was under way already.
pub async fn to_run<R: Needs>(page: &Page<R>, submitted: &Submitted) -> Response {
    let path = format!("/runs/{}", submitted.run_id());
    match submitted {
        Submitted::New { .. } => page.redirect(&path),
        Submitted::Duplicate { .. } => {
            let message = Flash::new("info", "This was under way already; here it is.");
            page.redirect_with(&path, message).await
        }
    }
}

/// The page that requested a confirmation, from the request's headers or from the form.
pub struct Whence(Option<String>);

impl Whence {
    /// The page from the hidden form field `back`.
    pub fn sent(typed: &Typed) -> Self {
        Self(session::local(typed.get("back")))
    }

    /// The path of the page, or `other` if it is unknown. Confirmations and the pages before a login are no pages to
    /// return to and also give `other`.
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

/// The message after an action, with a link to its run and, if possible, a button to undo it.
pub fn result_message(action: TargetAction, name: &str, submitted: &Submitted) -> Flash {
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

/// The message with a button that undoes these runs.
pub(super) fn undoable<'a>(toast: Flash, runs: impl IntoIterator<Item = &'a RunId>) -> Flash {
    let runs: Vec<String> = runs.into_iter().map(|id| format!("run={id}")).collect();
    toast.with_undo(format!("/undo?{}", runs.join("&")))
}
