//! Setup step 4, the first nap: the user picks a stack and one of three usual rules, and sees its effects before
//! saving.
//!
//! The page has one form. With scripts the lower part follows the selection; without scripts a button updates it.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;

use crate::app::schedules::{self as service, Draft, Preview, Saved};
use crate::app::stacks::{self, StackView};
use crate::app::{Error, FieldError, Result, execute, targets};
use crate::domain::action::Action;
use crate::domain::plan::Plan;
use crate::domain::schedule::{Source, When};
use crate::domain::target::TargetType;
use crate::web::auth::Operator;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::picture::RuleWeek;
use crate::web::shell::{Flash, Shell};
use crate::web::view;

/// The maximum number of stacks shown; a selected stack is always among them.
const MOST: usize = 24;

/// A usual rule.
struct Usual {
    value: &'static str,
    title: &'static str,
    hours: &'static str,
    window: &'static str,
}

/// The usual rules.
const USUAL: [Usual; 3] = [
    Usual { value: "nights", title: "Nights", hours: "off 23:00–07:00", window: "sleep 23:00-07:00" },
    Usual {
        value: "office",
        title: "Office hours",
        hours: "on Mon–Fri 08:00–18:00",
        window: "awake Mon-Fri 08:00-18:00",
    },
    Usual {
        value: "weekends",
        title: "Weekends off",
        hours: "off Sat and Sun",
        window: "sleep Sat 00:00-Mon 00:00",
    },
];

/// The effects of the selected rule on the selected stack.
struct StackChoice {
    preview: Preview,
    /// The containers that are stopped, in order, and those that are left alone.
    plan: Plan,
}

impl StackChoice {
    /// Computes the effects of the selection.
    async fn new(page: &Page<Operator>, picked: &Picked) -> Result<Self> {
        let Page { app, actor, .. } = page;
        let preview = service::preview(app, actor, &picked.draft("on")).await?;
        let target = targets::find(app, TargetType::Stack, &picked.stack)?;
        match execute::preview(app, actor, &target, Action::Stop, false).await {
            Ok(plan) => Ok(Self { preview, plan }),
            // The Docker host does not respond: the rule can be saved without the plan.
            Err(Error::Docker { .. }) => Ok(Self { preview, plan: Plan::default() }),
            Err(other) => Err(other),
        }
    }

    /// The share of the week: `56 h of a week asleep, 33 %`.
    fn share(&self) -> String {
        const WEEK: i64 = 7 * 24 * 60;
        let minutes = self.preview.asleep_minutes.unwrap_or_default();
        format!("{} h of a week asleep, {}\u{a0}%", minutes / 60, (minutes * 100 + WEEK / 2) / WEEK)
    }

    /// The number of containers that are stopped as soon as the rule is saved.
    fn at_once(&self) -> usize {
        self.preview.now.as_ref().map_or(0, |now| now.will_stop.len())
    }
}

#[derive(Template)]
#[template(path = "welcome/nap.html", blocks = ["look"])]
struct WelcomeNap<'a> {
    shell: &'a Shell,
    /// The number of the setup step, of four.
    step: usize,
    stacks: Vec<StackView>,
    /// The number of stacks that are not shown.
    more: usize,
    picked: Picked,
    look: Option<StackChoice>,
    errors: Vec<FieldError>,
}

impl<'a> WelcomeNap<'a> {
    async fn new(page: &'a Page<Operator>, picked: Picked) -> Result<Self> {
        let mut stacks = stacks::overview(&page.app, &page.actor).await?.stacks;
        stacks.retain(|view| view.protected.is_none());
        let picked = picked.completed(&stacks);
        let look = if stacks.is_empty() { None } else { Some(StackChoice::new(page, &picked).await?) };
        // The selected stack is always among those shown.
        let at = stacks.iter().position(|view| view.stack.key == picked.stack).unwrap_or(0);
        if at >= MOST {
            stacks.swap(0, at);
        }
        let more = stacks.len().saturating_sub(MOST);
        stacks.truncate(MOST);
        Ok(Self { shell: &page.shell, step: 4, stacks, more, picked, look, errors: Vec::new() })
    }

    /// The drawing of a rule over a week.
    fn week(&self, usual: &Usual) -> RuleWeek {
        let now = &self.shell.now;
        let marks = service::marks(&When::Window(usual.window.to_owned()), &now.zone, now.at);
        let title = now.words(&format!("The week: {}", usual.hours));
        RuleWeek::of(&marks, &title, now).unwrap_or_default()
    }
}

/// The selection of stack and rule.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Picked {
    stack: String,
    rule: String,
}

impl Picked {
    /// The selection with defaults: a running stack, and the first rule.
    fn completed(mut self, stacks: &[StackView]) -> Self {
        if stacks.iter().all(|view| view.stack.key != self.stack) {
            let awake = stacks.iter().find(|view| view.stack.counts.running > 0);
            let first = awake.or(stacks.first());
            self.stack = first.map(|view| view.stack.key.clone()).unwrap_or_default();
        }
        if USUAL.iter().all(|usual| usual.value != self.rule) {
            USUAL[0].value.clone_into(&mut self.rule);
        }
        self
    }

    fn usual(&self) -> &'static Usual {
        USUAL.iter().find(|usual| usual.value == self.rule).unwrap_or(&USUAL[0])
    }

    fn draft(&self, save: &str) -> Draft {
        let usual = self.usual();
        Draft {
            name: Some(usual.title.to_owned()),
            target_type: Some("stack".to_owned()),
            target_id: Some(self.stack.clone()),
            kind: Some("window".to_owned()),
            window: Some(usual.window.to_owned()),
            enabled: Some(save != "off"),
            from_next: save == "next",
            ..Draft::default()
        }
    }
}

pub(super) async fn show(page: Page<Operator>, Query(picked): Query<Picked>) -> Result<Response> {
    page.web.previews.admit(&page.caller.user().id)?;
    let welcome = WelcomeNap::new(&page, picked).await?;
    page.render_live(&welcome, &welcome.as_look())
}

pub(super) async fn save(page: Page<Operator>, typed: Typed) -> Result<Response> {
    let picked = Picked { stack: typed.get("stack").to_owned(), rule: typed.get("rule").to_owned() };
    let save = typed.get("save");
    // A schedule may have a target that does not exist yet, but the first nap needs an existing stack.
    let overview = stacks::overview(&page.app, &page.actor).await?;
    let created = if overview.stacks.iter().any(|view| view.stack.key == picked.stack) {
        service::create(&page.app, &page.actor, &picked.draft(save), Source::Ui).await
    } else {
        Err(Error::field("stacks", "pick a stack"))
    };
    match created {
        Ok(saved) => {
            let tone = if saved.warnings.is_empty() { "good" } else { "warn" };
            Ok(page.redirect_with("/", Flash::new(tone, saved_message(&page.shell, &saved, save))).await)
        }
        Err(Error::Invalid(errors)) => {
            // The form shows all errors of the service at the field `stacks`.
            let errors = errors.into_iter().map(|error| FieldError::new("stacks", error.message)).collect();
            page.refuse(&WelcomeNap { errors, ..WelcomeNap::new(&page, picked).await? })
        }
        Err(other) => Err(other),
    }
}

/// The message after saving, with the warnings of the service.
fn saved_message(shell: &Shell, saved: &Saved, save: &str) -> String {
    let (title, name) = (&saved.view.title, view::shown_name(&saved.view.target_name));
    let text = match saved.view.next_at.map(|at| shell.now.when(at)) {
        Some(next) if save != "off" => {
            let (relative, short) = (next.relative, next.short);
            format!("“{title}” is saved for {name}. The next change is {relative}, at {short}.")
        }
        _ => format!("“{title}” is saved for {name}, switched off. Switch it on under Schedules."),
    };
    saved.warnings.iter().fold(text, |text, warning| format!("{text} {warning}"))
}
