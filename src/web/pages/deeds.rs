//! What is done to a target at the press of a button: asked for first, then done.

use axum::extract::{Path, State};
use axum::response::{Html, Response};

use super::actions::{PlanView, Question, Whence, asked, asked_again, stay, told};
use super::ends::Ends;
use crate::app::execute::{self, Request, Submitted, undo};
use crate::app::nap::{self, Asked, Course};
use crate::app::targets;
use crate::app::{Actor, App, Error, Result, locks, stacks};
use crate::domain::action::Action;
use crate::domain::overrides::Wanted;
use crate::domain::run::Trigger;
use crate::domain::target::{Subject, Target, TargetType};
use crate::web::Web;
use crate::web::auth::{Caller, Operator};
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Now};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/stacks/{key}/{action}", Access::OPERATOR, ask_stack)
        .post("/stacks/{key}/{action}", Access::OPERATOR, act_stack)
        .get("/containers/{key}/{action}", Access::OPERATOR, ask_container)
        .post("/containers/{key}/{action}", Access::OPERATOR, act_container)
}

/// What a URL says is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// One of the five actions.
    Do(Action),
    /// Put to sleep for a while.
    Nap,
    /// Wake for a while.
    Wake,
    /// Never touch it again.
    Lock,
    /// It may be touched again.
    Unlock,
}

impl Deed {
    /// The reverse of [`Deed::word`].
    pub(super) fn parse(word: &str) -> Option<Self> {
        let others = [Self::Nap, Self::Wake, Self::Lock, Self::Unlock];
        word.parse().map(Self::Do).ok().or_else(|| others.into_iter().find(|deed| deed.word() == word))
    }

    /// Its word in the URL.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Do(action) => action.as_str(),
            Self::Nap => "nap",
            Self::Wake => "wake",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
        }
    }

    /// The word on its button.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Do(action) => action.label(),
            Self::Nap => "Nap now",
            Self::Wake => "Wake",
            Self::Lock => "Lock",
            Self::Unlock => "Unlock",
        }
    }

    /// What one, or several, do then: `naps`, `nap`.
    pub(super) fn does(self, many: usize) -> &'static str {
        let (one, several) = match self {
            Self::Nap => ("naps", "nap"),
            Self::Wake => ("wakes", "wake"),
            Self::Do(Action::Start) => ("starts", "start"),
            Self::Do(Action::Stop) => ("stops", "stop"),
            Self::Do(Action::Restart) => ("restarts", "restart"),
            Self::Do(Action::Pause) => ("is paused", "are paused"),
            Self::Do(Action::Unpause) => ("goes on", "go on"),
            Self::Lock => ("is locked: DockNap leaves it alone", "are locked: DockNap leaves them alone"),
            Self::Unlock => ("is unlocked", "are unlocked"),
        };
        if many == 1 { one } else { several }
    }

    /// Whether what became of it can be undone. A nap or a wake lasts although it changes no container.
    pub(super) fn can_be_undone(self, submitted: &Submitted) -> bool {
        let is_idle = match submitted {
            Submitted::New { idle, .. } => idle.is_some(),
            Submitted::Duplicate { .. } => return false,
        };
        match self {
            Self::Nap | Self::Wake => true,
            Self::Do(action) => undo::can_be_undone(Trigger::Manual, action) && !is_idle,
            Self::Lock | Self::Unlock => false,
        }
    }

    /// It with its object: `Nap media`.
    pub(super) fn label_of(self, name: &str) -> String {
        let verb = if self == Self::Nap { "Nap" } else { self.label() };
        format!("{verb} {name}")
    }

    pub(super) fn icon(self) -> &'static str {
        match self {
            Self::Do(action) => view::action_icon(action),
            Self::Nap => "moon",
            Self::Wake => "sunrise",
            Self::Lock | Self::Unlock => "lock",
        }
    }
}

/// What a URL says: of which kind, which one, and what is to be done.
struct Address {
    kind: TargetType,
    key: String,
    word: String,
}

impl Address {
    fn new(kind: TargetType, (key, word): (String, String)) -> Self {
        Self { kind, key, word }
    }
}

/// What a URL names: a target that is there, what is to be done, and the target's name.
async fn named(app: &App, actor: &Actor, address: &Address) -> Result<(Target, Deed, String)> {
    let Address { kind, key, word } = address;
    let deed = Deed::parse(word).ok_or_else(|| Error::not_found("page", format!("{kind}s/{key}/{word}")))?;
    let target = targets::find(app, *kind, key)?;
    let name = match &target.subject {
        Subject::Stack(name) => name.clone(),
        Subject::Container(_) => {
            stacks::container(app, actor, &target.host, key).await?.container.name.clone()
        }
    };
    Ok((target, deed, name))
}

async fn ask(
    web: &Web,
    caller: &Caller<Operator>,
    htmx: &Htmx,
    shell: Shell,
    whence: &Whence,
    address: &Address,
) -> Result<Html<String>> {
    let (target, deed, name) = named(&web.app, &caller.actor, address).await?;
    let now = super::now(web, &shell);
    let question = question(web, &caller.actor, &now, &target, &name, deed, &Typed::default()).await?;
    asked(shell, htmx, question.staying(whence))
}

/// The question before a deed, with what was typed into it.
async fn question(
    web: &Web,
    actor: &Actor,
    now: &Now,
    target: &Target,
    name: &str,
    deed: Deed,
    typed: &Typed,
) -> Result<Question> {
    let (app, wakes) = (&web.app, deed == Deed::Wake);
    let action = match deed {
        Deed::Do(action) => action,
        Deed::Nap => nap::mode(app, target).await?,
        Deed::Wake => Action::Start,
        Deed::Lock | Deed::Unlock => return Ok(Question::lock(target, name, deed, typed)),
    };
    let plan = execute::preview(app, actor, target, action, wakes).await?;
    let view = if deed == Deed::Do(Action::Start) { PlanView::of_start(plan, typed) } else { plan.into() };
    let question = Question::action(action, target, name, view);
    if matches!(deed, Deed::Do(_)) {
        return Ok(question);
    }
    let made = if wakes { Wanted::Awake } else { Wanted::Asleep };
    let course = Course::load(app, target, made).await?;
    let action = format!("/{}s/{}/{}", target.target_type(), target.key(), deed.word());
    let ends = Ends::new(&course, now, typed);
    let reason = Some(typed.get("reason").to_owned());
    Ok(Question { action, ends: Some(ends), reason, ..question.as_nap(wakes, name) })
}

async fn act(
    web: &Web,
    caller: &Caller<Operator>,
    htmx: &Htmx,
    notes: &Notes,
    address: &Address,
    shell: Shell,
    typed: &Typed,
) -> Result<Response> {
    let (app, actor) = (&web.app, &caller.actor);
    let (target, deed, name) = named(app, actor, address).await?;
    let kind = address.kind;
    let until = if typed.get("until") == "at" { typed.get("at") } else { typed.get("until") };
    let asked = || Asked {
        until: Some(until.to_owned()).filter(|_| typed.get("until") != "at" || !until.is_empty()),
        reason: typed.filled("reason").map(str::to_owned),
        schedule: None,
    };
    let done = match deed {
        // An end that was chosen and not given.
        Deed::Nap | Deed::Wake if typed.get("until") == "at" && until.is_empty() => {
            Err(Error::field("until", "say until when"))
        }
        Deed::Do(action) => match targets::named_members(app, &target, typed.all("also_start")) {
            Ok(also) => {
                let request = Request { also, ..Request::now(action, target.clone(), Trigger::Manual) };
                execute::submit(app, actor, request).await.map(Some)
            }
            Err(unknown) => Err(unknown),
        },
        Deed::Nap => nap::nap(app, actor, &target, &asked(), Trigger::Manual).await.map(Some),
        Deed::Wake => nap::wake(app, actor, &target, &asked(), Trigger::Manual).await.map(Some),
        Deed::Lock => {
            let reason = typed.get("reason");
            locks::lock(app, actor, &target.host, kind, &address.key, reason).await.map(|_| None)
        }
        Deed::Unlock => locks::unlock(app, actor, &target.host, kind, &address.key).await.map(|()| None),
    };
    let whence = Whence::sent(typed);
    let toast = match done {
        Ok(Some(submitted)) => told(deed, &name, &submitted),
        Ok(None) => Flash::new("good", format!("{} {}.", view::shown_name(&name), deed.does(1))),
        Err(Error::Invalid(errors)) => {
            let now = super::now(web, &shell);
            let question = question(web, actor, &now, &target, &name, deed, typed).await?;
            return asked_again(shell, htmx, Question { errors, ..question.staying(&whence) });
        }
        Err(other) => return Err(other),
    };
    stay(web, htmx, notes, &shell, &whence.or(&format!("/{kind}s/{}", target.key())), toast).await
}

async fn ask_stack(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(path): Path<(String, String)>,
    whence: Whence,
    shell: Shell,
) -> Result<Html<String>> {
    ask(&web, &caller, &htmx, shell, &whence, &Address::new(TargetType::Stack, path)).await
}

async fn ask_container(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(path): Path<(String, String)>,
    whence: Whence,
    shell: Shell,
) -> Result<Html<String>> {
    ask(&web, &caller, &htmx, shell, &whence, &Address::new(TargetType::Container, path)).await
}

async fn act_stack(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(path): Path<(String, String)>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    act(&web, &caller, &htmx, &notes, &Address::new(TargetType::Stack, path), shell, &typed).await
}

async fn act_container(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(path): Path<(String, String)>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    act(&web, &caller, &htmx, &notes, &Address::new(TargetType::Container, path), shell, &typed).await
}
