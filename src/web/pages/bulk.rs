//! One thing done to several targets: asked for once with everything that will happen, then done.

use std::fmt::Write as _;

use axum::extract::{RawQuery, State};
use axum::response::{Html, Response};

use super::actions::{Part, PlanView, Question, Whence, asked, asked_again, stay, told};
use super::deeds::Deed;
use super::ends::Ends;
use super::undo;
use crate::app::execute::{self, Request, Submitted};
use crate::app::nap::{self, Asked, Course};
use crate::app::targets;
use crate::app::{Actor, App, Error, Result};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::overrides::Wanted;
use crate::domain::run::Trigger;
use crate::domain::target::{Target, TargetType};
use crate::web::Web;
use crate::web::auth::{Caller, Operator};
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Choice, Link, Now};

/// Targets at once: as the API takes.
pub(super) const MOST: usize = 200;
/// What is left as it is that a sentence names.
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
                let name = targets::name(app, &target);
                targets.push((target, name));
            }
        }
        if targets.len() > MOST {
            return Err(Error::field("t", format!("choose {MOST} at most")));
        }
        Ok(Self { deed, targets })
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
        let (mut parts, mut sum) = (Vec::new(), Sum::of(self));
        for (target, name) in &self.targets {
            let action = match self.deed {
                Deed::Do(action) => action,
                Deed::Nap => nap::mode(app, target).await?,
                _ => Action::Start,
            };
            let plan = execute::preview(app, actor, target, action, self.deed == Deed::Wake).await?;
            sum.add(name, plan.idle());
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
        let asked = match (self.targets.as_slice(), self.deed) {
            ([(_, name)], deed) => deed.label_of(&view::shown_name(name)),
            // None of them changes; what is asked for lasts all the same.
            (all, Deed::Nap) if sum.acts == 0 => format!("Keep {} asleep", sum.counted(all.len())),
            (all, Deed::Wake) if sum.acts == 0 => format!("Keep {} awake", sum.counted(all.len())),
            (_, deed) if sum.acts == 0 => format!("Nothing to {}", deed.word()),
            (_, deed) => deed.label_of(&sum.counted(sum.acts)),
        };
        let keys = self
            .targets
            .iter()
            .map(|(target, _)| ("t", format!("{}/{}", target.target_type(), target.key())));
        Ok(Question {
            title: if napped || sum.acts > 0 { format!("{asked}?") } else { asked.clone() },
            label: asked,
            text: if sum.left.is_empty() { String::new() } else { sum.told() },
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
                let also = ticked.filter_map(|one| targets::named_members(app, target, [one]).ok()).flatten();
                let request =
                    Request { also: also.collect(), ..Request::now(action, target.clone(), Trigger::Bulk) };
                execute::submit(app, actor, request).await
            }
            Deed::Lock | Deed::Unlock => Err(Error::not_found("page", "actions")),
        }
    }
}

/// How many of them act, and which are left as they are: the same in the question and in the message after it.
struct Sum<'a> {
    wish: &'a Wish,
    acts: usize,
    /// Each with the reason.
    left: Vec<(String, String)>,
}

impl<'a> Sum<'a> {
    fn of(wish: &'a Wish) -> Self {
        Self { wish, acts: 0, left: Vec::new() }
    }

    fn add(&mut self, name: &str, idle: Option<String>) {
        match idle {
            None => self.acts += 1,
            Some(why) => self.left.push((view::shown_name(name), why)),
        }
    }

    /// `2 stacks`.
    fn counted(&self, number: usize) -> String {
        let is_all = |kind| self.wish.targets.iter().all(|(target, _)| target.target_type() == kind);
        let noun = match () {
            () if is_all(TargetType::Stack) => "stack",
            () if is_all(TargetType::Container) => "container",
            () => "target",
        };
        view::count(number, noun)
    }

    /// `media stays as it is: protected: it is DockNap itself.`
    fn left_alone(&self) -> String {
        let one = |(name, why): &(String, String)| format!("{name} stays as it is: {why}.");
        self.left.iter().map(one).collect::<Vec<_>>().concat()
    }

    /// `2 stacks nap, 1 is left as it is (wiki: already stopped).`
    fn told(&self) -> String {
        let acts = match self.acts {
            0 => None,
            many => Some(format!("{} {}", self.counted(many), self.wish.deed.does(many))),
        };
        let left = match self.left.len() {
            0 => None,
            1 => Some("1 is left as it is".to_owned()),
            many => Some(format!("{many} are left as they are")),
        };
        let mut told = acts.into_iter().chain(left).collect::<Vec<_>>().join(", ");
        if !self.left.is_empty() {
            let named = self.left.iter().take(NAMED).map(|(name, why)| format!("{name}: {why}"));
            let named = named.collect::<Vec<_>>().join("; ");
            let more = self.left.len().saturating_sub(NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let _ = write!(told, " ({named}{more})");
        }
        told + "."
    }
}

async fn ask(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    RawQuery(query): RawQuery,
    whence: Whence,
    shell: Shell,
) -> Result<Html<String>> {
    let typed = Typed::parse(query.unwrap_or_default().as_bytes());
    let wish = Wish::read(&web.app, &typed)?;
    let now = super::now(&web, &shell);
    let question = wish.question(&web.app, &caller.actor, &now, &typed).await?;
    asked(shell, &htmx, question.staying(&whence))
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
    let whence = Whence::sent(&typed);
    let (mut sum, mut begun, mut refused) = (Sum::of(&wish), Vec::new(), false);
    for (target, name) in &wish.targets {
        match wish.submit(app, actor, target, &typed).await {
            Ok(submitted) => {
                sum.add(
                    name,
                    match &submitted {
                        Submitted::New { idle, .. } => idle.clone(),
                        Submitted::Duplicate { .. } => Some("this was under way already".to_owned()),
                    },
                );
                begun.push(submitted);
            }
            // The same for all of them: what was typed.
            Err(Error::Invalid(errors))
                if errors.iter().any(|e| e.field == "until" || e.field == "reason") =>
            {
                let now = super::now(&web, &shell);
                let question = wish.question(app, actor, &now, &typed).await?;
                return asked_again(shell, &htmx, Question { errors, ..question.staying(&whence) });
            }
            Err(error @ (Error::Internal(_) | Error::Unavailable { .. })) => return Err(error),
            Err(error) => {
                refused = true;
                sum.add(
                    name,
                    Some(match error {
                        Error::Protected { reason, .. } => format!("protected: {reason}"),
                        other => other.to_string(),
                    }),
                );
            }
        }
    }
    let toast = match (wish.targets.as_slice(), begun.as_slice()) {
        ([], _) => Flash::new("info", "Nothing was chosen, so nothing was done."),
        ([(_, name)], [one]) => told(wish.deed, name, one),
        ([_], []) => Flash::new("warn", sum.left_alone()),
        _ => {
            let tone = match (refused, sum.acts) {
                (true, _) => "warn",
                (false, 0) => "info",
                (false, _) => "good",
            };
            let toast = Flash::new(tone, sum.told()).with_link("/runs", "View runs");
            let undoable = begun.iter().filter(|one| wish.deed.can_be_undone(one)).map(Submitted::run_id);
            let undoable: Vec<&RunId> = undoable.collect();
            if undoable.is_empty() { toast } else { toast.with_undo(undo::href(undoable)) }
        }
    };
    stay(&web, &htmx, &notes, &shell, &whence.or("/"), toast).await
}
