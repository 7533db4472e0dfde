//! The first nap: a stack, one of three usual rules, what would happen, and a button.
//!
//! One form for all of it. With scripts the lower part follows what is picked; without, a button shows it.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::app::schedules::{self as service, Draft};
use crate::app::stacks::{self, StackView};
use crate::app::{Actor, Error, FieldError, Result, execute, targets};
use crate::domain::action::Action;
use crate::domain::schedule::{self, Source};
use crate::domain::target::TargetType;
use crate::domain::window::Mood;
use crate::web::Web;
use crate::web::auth::{Caller, Operator};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::pages::{go, html, now};
use crate::web::picture::RuleWeek;
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Badge, Now, When};

/// Stacks that are shown; whoever has more knows which one they want.
const MOST: usize = 24;
/// Changes to come that are told.
const COMING: usize = 4;

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

/// A stack to pick.
#[derive(Clone, Debug)]
pub struct StackTile {
    /// What is sent.
    pub key: String,
    pub name: String,
    pub state: Badge,
    /// `3 containers`
    pub size: String,
    /// It is picked.
    pub chosen: bool,
}

/// A rule to pick.
#[derive(Clone, Debug)]
pub struct RuleTile {
    /// What is sent.
    pub value: &'static str,
    /// `Nights`
    pub title: &'static str,
    /// `off 23:00–07:00`
    pub hours: String,
    /// The week as a picture.
    pub week: RuleWeek,
    /// It is picked.
    pub chosen: bool,
}

/// A change to come.
#[derive(Clone, Debug)]
pub struct Change {
    pub when: When,
    /// What begins.
    pub state: Badge,
}

/// What would happen.
#[derive(Clone, Debug)]
pub struct Look {
    /// The rule in words.
    pub meaning: String,
    /// The zone it is read in.
    pub zone: String,
    /// `33 % of a week asleep`
    pub share: String,
    /// The next changes.
    pub changes: Vec<Change>,
    /// What is put to sleep, in that order.
    pub naps: Vec<String>,
    /// What is left alone, and why.
    pub left: Vec<(String, String)>,
    /// What to know before.
    pub warnings: Vec<String>,
    /// What goes to sleep as soon as it is saved.
    pub at_once: Vec<String>,
}

/// The first nap.
#[derive(Template, Clone, Debug)]
#[template(path = "welcome/nap.html", blocks = ["look"])]
pub struct WelcomeNap {
    pub shell: Shell,
    /// Of four.
    pub step: usize,
    /// The stacks.
    pub stacks: Vec<StackTile>,
    /// There are more.
    pub more: usize,
    /// The rules.
    pub rules: Vec<RuleTile>,
    /// What would happen.
    pub look: Option<Look>,
    pub errors: Vec<FieldError>,
}

/// What is picked.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Picked {
    stack: String,
    rule: String,
}

impl Picked {
    /// Something is always picked: a stack that runs, and the first rule.
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

fn rule_tiles(picked: &Picked, now: &Now) -> Vec<RuleTile> {
    let tile = |usual: &Usual| {
        let marks = service::marks(&schedule::When::Window(usual.window.to_owned()), &now.zone, now.at);
        let title = format!("The week: {}", usual.hours);
        RuleTile {
            value: usual.value,
            title: usual.title,
            hours: now.words(usual.hours),
            week: RuleWeek::of(&marks, &now.words(&title), now).unwrap_or_default(),
            chosen: usual.value == picked.rule,
        }
    };
    USUAL.iter().map(tile).collect()
}

/// What would happen to the picked stack.
async fn look(web: &Web, actor: &Actor, picked: &Picked, now: &Now) -> Result<Look> {
    const WEEK: i64 = 7 * 24 * 60;
    let preview = service::preview(&web.app, actor, &picked.draft("on")).await?;
    let target = targets::find(&web.app, TargetType::Stack, &picked.stack)?;
    let plan = match execute::preview(&web.app, actor, &target, Action::Stop, false).await {
        Ok(plan) => plan,
        // The host is away: the rule can be saved all the same.
        Err(Error::Docker { .. }) => crate::domain::plan::Plan::default(),
        Err(other) => return Err(other),
    };
    let minutes = preview.asleep_minutes.unwrap_or_default();
    let changes = preview.next.iter().take(COMING).map(|next| Change {
        when: now.when(next.at),
        state: if next.state == Some(Mood::Asleep) { Badge::ASLEEP } else { Badge::AWAKE },
    });
    let at_once = preview.now.iter().flat_map(|now| &now.will_stop);
    Ok(Look {
        meaning: now.words(&preview.meaning),
        share: format!("{} h of a week asleep, {}\u{a0}%", minutes / 60, (minutes * 100 + WEEK / 2) / WEEK),
        changes: changes.collect(),
        naps: plan.steps.iter().map(|step| view::shown_name(&step.container)).collect(),
        left: plan
            .skipped
            .iter()
            .map(|skipped| (view::shown_name(&skipped.container), skipped.reason.clone()))
            .collect(),
        warnings: preview.warnings.iter().map(|warning| now.words(warning)).collect(),
        at_once: at_once.map(|name| view::shown_name(name)).collect(),
        zone: preview.zone,
    })
}

async fn page(web: &Web, actor: &Actor, shell: Shell, picked: Picked) -> Result<WelcomeNap> {
    let now = now(web, &shell);
    let overview = stacks::overview(&web.app, actor).await?;
    let mut stacks = overview.stacks;
    stacks.retain(|view| view.protected.is_none());
    let picked = picked.completed(&stacks);
    let look = if stacks.is_empty() { None } else { Some(look(web, actor, &picked, &now).await?) };
    let more = stacks.len().saturating_sub(MOST);
    let tile = |view: &StackView| StackTile {
        key: view.stack.key.clone(),
        name: view::shown_name(&view.stack.name),
        state: view.shown.into(),
        size: view::count(view.containers.len(), "container"),
        chosen: view.stack.key == picked.stack,
    };
    // The picked one is among those that are shown.
    let at = stacks.iter().position(|view| view.stack.key == picked.stack).unwrap_or(0);
    if at >= MOST {
        stacks.swap(0, at);
    }
    Ok(WelcomeNap {
        step: 4,
        stacks: stacks.iter().take(MOST).map(tile).collect(),
        more,
        rules: rule_tiles(&picked, &now),
        look,
        errors: Vec::new(),
        shell,
    })
}

pub(super) async fn show(
    State(web): State<Web>,
    caller: Caller<Operator>,
    Query(picked): Query<Picked>,
    htmx: Htmx,
    shell: Shell,
) -> Result<Response> {
    web.previews.admit(&caller.user().id)?;
    let page = page(&web, &caller.actor, shell, picked).await?;
    let text = if htmx.partial { html(&page.as_look())? } else { html(&page)? };
    Ok(text.into_response())
}

pub(super) async fn save(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let picked = Picked { stack: typed.get("stack").to_owned(), rule: typed.get("rule").to_owned() };
    let save = typed.get("save");
    // A schedule may be for what is not there yet; a first nap is of something one sees.
    let overview = stacks::overview(&web.app, &caller.actor).await?;
    let created = if overview.stacks.iter().any(|view| view.stack.key == picked.stack) {
        service::create(&web.app, &caller.actor, &picked.draft(save), Source::Ui).await
    } else {
        Err(Error::field("stacks", "pick a stack"))
    };
    match created {
        Ok(saved) => {
            let name = view::shown_name(&saved.view.target_name);
            let text = match saved.view.next_at.map(|at| now(&web, &shell).when(at)) {
                Some(next) if save != "off" => format!(
                    "“{}” is saved for {name}. The next change is {}, at {}.",
                    saved.view.title, next.relative, next.short
                ),
                _ => format!(
                    "“{}” is saved for {name}, switched off. Switch it on under Schedules.",
                    saved.view.title
                ),
            };
            let flash = saved.warnings.iter().fold(text, |text, warning| format!("{text} {warning}"));
            let tone = if saved.warnings.is_empty() { "good" } else { "warn" };
            notes.leave(Flash::new(tone, flash)).await;
            Ok(go(&web, &htmx, "/"))
        }
        Err(Error::Invalid(errors)) => {
            // Fields that only the service knows are the pick's.
            let errors = errors.into_iter().map(|error| FieldError::new("stacks", error.message)).collect();
            let page = WelcomeNap { errors, ..page(&web, &caller.actor, shell, picked).await? };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
        }
        Err(other) => Err(other),
    }
}
