//! One thing done to several targets: asked for once with everything that will happen, then done.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::actions::{ConfirmPage, Part, PlanView, Question, asked};
use super::deeds::Deed;
use super::ends::Ends;
use crate::app::execute::{self, Request, Submitted};
use crate::app::nap::{self, Asked, Course};
use crate::app::{Actor, App, Error, Result};
use crate::domain::action::Action;
use crate::domain::overrides::Wanted;
use crate::domain::run::Trigger;
use crate::domain::target::Target;
use crate::web::Web;
use crate::web::auth::{Caller, Operator};
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Choice, Link, Now};

/// Targets at once: as the API takes.
const MOST: usize = 200;
/// Refusals that a message names.
const NAMED: usize = 3;

pub(super) fn routes() -> Routes {
    Routes::new().get("/actions", Access::OPERATOR, ask).post("/actions", Access::OPERATOR, act)
}

/// What may be done to several.
const DEEDS: [Deed; 5] =
    [Deed::Wake, Deed::Nap, Deed::Do(Action::Start), Deed::Do(Action::Stop), Deed::Do(Action::Restart)];

/// What may be done to several, as buttons: the value is sent as `do`.
pub(super) fn choices() -> Vec<Choice> {
    let choice = |deed: Deed| Choice {
        value: deed.word().to_owned(),
        label: deed.label().to_owned(),
        chosen: matches!(deed, Deed::Wake | Deed::Nap),
    };
    DEEDS.into_iter().map(choice).collect()
}

/// What was asked for: what is done, and to which targets.
struct Wish {
    deed: Deed,
    /// Each with its name; one named twice is there once.
    targets: Vec<(Target, String)>,
}

impl Wish {
    fn read(app: &App, typed: &Typed) -> Result<Self> {
        let word = typed.get("do");
        let deed = DEEDS.into_iter().find(|deed| deed.word() == word);
        let deed = deed.ok_or_else(|| Error::not_found("page", format!("actions?do={word}")))?;
        let mut targets: Vec<(Target, String)> = Vec::new();
        for text in typed.all("t").take(MOST + 1) {
            let target = super::target_of(app, text)?
                .ok_or_else(|| Error::not_found("target", text.chars().take(64).collect::<String>()))?;
            if !targets.iter().any(|(known, _)| *known == target) {
                let name = execute::name_of(app, &target);
                targets.push((target, name));
            }
        }
        if targets.len() > MOST {
            return Err(Error::field("t", format!("choose {MOST} at most")));
        }
        Ok(Self { deed, targets })
    }

    fn verb(&self) -> &'static str {
        match self.deed {
            Deed::Nap => "Nap",
            deed => deed.label(),
        }
    }

    async fn question(&self, app: &App, actor: &Actor, now: &Now, typed: &Typed) -> Result<Question> {
        let back = Link::new("/", "Stacks");
        if self.targets.is_empty() {
            return Ok(Question {
                title: "Nothing is chosen".to_owned(),
                text: "Tick one or more stacks in the list first.".to_owned(),
                plan: Some(PlanView::default()),
                back,
                ..Question::default()
            });
        }
        let mut parts = Vec::new();
        for (target, name) in &self.targets {
            let action = match self.deed {
                Deed::Do(action) => action,
                Deed::Nap => nap::mode(app, target).await?,
                _ => Action::Start,
            };
            let plan = execute::preview(app, actor, target, action, self.deed == Deed::Wake).await?;
            let ends = match self.deed {
                Deed::Nap => Ends::open(&Course::load(app, target, Wanted::Asleep).await?, now),
                Deed::Wake => Ends::open(&Course::load(app, target, Wanted::Awake).await?, now),
                _ => String::new(),
            };
            let plan = if self.deed == Deed::Do(Action::Start) {
                PlanView::of_start(plan, typed)
            } else {
                plan.into()
            };
            parts.push(Part { name: view::shown_name(name), plan, ends });
        }
        let napped = matches!(self.deed, Deed::Nap | Deed::Wake);
        let count = match self.targets.as_slice() {
            [(_, name)] => view::shown_name(name),
            several => format!("{} at once", several.len()),
        };
        let keys = self
            .targets
            .iter()
            .map(|(target, _)| ("t", format!("{}/{}", target.target_type(), target.key())));
        Ok(Question {
            title: format!("{} {count}?", self.verb()),
            label: format!("{} {count}", self.verb()),
            icon: self.deed.icon(),
            harsh: matches!(self.deed, Deed::Do(action) if action.reverses_order()),
            action: "/actions".to_owned(),
            hidden: std::iter::once(("do", self.deed.word().to_owned())).chain(keys).collect(),
            back,
            parts,
            ends: napped.then(|| Ends::of_several(self.deed == Deed::Wake, now, typed)),
            reason: napped.then(|| typed.get("reason").to_owned()),
            ..Question::default()
        })
    }

    async fn submit(&self, app: &App, actor: &Actor, target: &Target, typed: &Typed) -> Result<Submitted> {
        let at = typed.get("until") == "at";
        let until = if at { typed.get("at") } else { typed.get("until") };
        if at && until.is_empty() {
            return Err(Error::field("until", "say until when"));
        }
        let asked = Asked {
            until: Some(until.to_owned()),
            reason: typed.filled("reason").map(str::to_owned),
            schedule: None,
        };
        match self.deed {
            Deed::Nap => nap::nap(app, actor, target, &asked, Trigger::Bulk).await,
            Deed::Wake => nap::wake(app, actor, target, &asked, Trigger::Bulk).await,
            Deed::Do(action) => {
                // Each box is of one of the targets.
                let ticked = typed.all("also_start");
                let also = ticked.filter_map(|one| execute::named_members(app, target, [one]).ok()).flatten();
                let request =
                    Request { also: also.collect(), ..Request::now(action, target.clone(), Trigger::Bulk) };
                execute::submit(app, actor, request).await
            }
            Deed::Lock | Deed::Unlock => Err(Error::not_found("page", "actions")),
        }
    }
}

async fn ask(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    RawQuery(query): RawQuery,
    shell: Shell,
) -> Result<Html<String>> {
    let typed = Typed::parse(query.unwrap_or_default().as_bytes());
    let wish = Wish::read(&web.app, &typed)?;
    let now = super::now(&web, &shell);
    asked(shell, &htmx, wish.question(&web.app, &caller.actor, &now, &typed).await?)
}

async fn act(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let (app, actor) = (&web.app, &caller.actor);
    let wish = Wish::read(app, &typed)?;
    let (mut begun, mut refused) = (Vec::new(), Vec::new());
    for (target, name) in &wish.targets {
        match wish.submit(app, actor, target, &typed).await {
            Ok(submitted) => begun.push(submitted),
            // The same for all of them: what was typed.
            Err(Error::Invalid(errors))
                if errors.iter().any(|e| e.field == "until" || e.field == "reason") =>
            {
                let now = super::now(&web, &shell);
                let question = wish.question(app, actor, &now, &typed).await?;
                let page = super::html(&ConfirmPage { shell, q: Question { errors, ..question } })?;
                return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
            }
            Err(error @ (Error::Internal(_) | Error::Unavailable { .. })) => return Err(error),
            Err(error) => refused.push(format!("{}: {error}", view::shown_name(name))),
        }
    }
    if let ([one], []) = (begun.as_slice(), refused.as_slice()) {
        return Ok(super::actions::to_run(&web, &htmx, &notes, one).await);
    }
    notes.leave(told(&wish, begun.len(), &refused)).await;
    Ok(super::go(&web, &htmx, "/"))
}

/// What became of it in a message.
fn told(wish: &Wish, begun: usize, refused: &[String]) -> Flash {
    if wish.targets.is_empty() {
        return Flash::new("info", "Nothing was chosen, so nothing was done.");
    }
    let verb = wish.verb();
    if refused.is_empty() {
        return Flash::new("good", format!("{verb}: {begun} are under way."));
    }
    let shown = refused.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = refused.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Flash::new("bad", format!("{verb}: {begun} under way, {} refused. {shown}{more}", refused.len()))
}
