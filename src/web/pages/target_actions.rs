//! What is done to a target at the press of a button: asked for first, then done.

use axum::extract::Path;
use axum::response::Response;

use super::actions::{Part, Question, Whence, told};
use super::ends::Ends;
use crate::app::execute::{self, Request, Submitted, undo};
use crate::app::nap::{self, Course, NapRequest};
use crate::app::{App, Error, Result, locks, stacks, targets};
use crate::domain::action::Action;
use crate::domain::overrides::DesiredState;
use crate::domain::plan::Plan;
use crate::domain::run::Trigger;
use crate::domain::target::{ContainerIdentity, Subject, Target, TargetType};
use crate::web::auth::Operator;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Flash;
use crate::web::view;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/stacks/{key}/{action}", Access::OPERATOR, ask_stack)
        .post("/stacks/{key}/{action}", Access::OPERATOR, act_stack)
        .get("/containers/{key}/{action}", Access::OPERATOR, ask_container)
        .post("/containers/{key}/{action}", Access::OPERATOR, act_container)
}

/// What a URL says is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetAction {
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

impl TargetAction {
    /// The reverse of [`TargetAction::word`].
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

    /// What it does to the containers of a target.
    pub(super) async fn plan(self, page: &Page<Operator>, target: &Target) -> Result<Plan> {
        let action = match self {
            Self::Do(action) => action,
            Self::Nap => nap::mode(&page.app, target).await?,
            Self::Wake | Self::Lock | Self::Unlock => Action::Start,
        };
        execute::preview(&page.app, &page.actor, target, action, self == Self::Wake).await
    }

    /// How long it may last; `None` where it lasts for no time of its own.
    pub(super) async fn course(self, app: &App, target: &Target) -> Result<Option<Course>> {
        let wanted = match self {
            Self::Nap => DesiredState::Asleep,
            Self::Wake => DesiredState::Awake,
            Self::Do(_) | Self::Lock | Self::Unlock => return Ok(None),
        };
        Course::load(app, target, wanted).await.map(Some)
    }

    /// Does it, as it was typed into its question.
    pub(super) async fn submit(
        self,
        page: &Page<Operator>,
        target: &Target,
        typed: &Typed,
        also: Vec<ContainerIdentity>,
        trigger: Trigger,
    ) -> Result<Submitted> {
        let (app, actor) = (&page.app, &page.actor);
        if let Self::Do(action) = self {
            let request = Request { also, ..Request::now(action, target.clone(), trigger) };
            return execute::submit(app, actor, request).await;
        }
        let until = typed.get(if typed.get("until") == "at" { "at" } else { "until" });
        if until.is_empty() && typed.get("until") == "at" {
            return Err(Error::field("until", "say until when"));
        }
        let reason = typed.filled("reason").map(str::to_owned);
        let asked = NapRequest { until: Some(until.to_owned()), reason, schedule: None };
        match self {
            Self::Nap => nap::nap(app, actor, target, &asked, trigger).await,
            _ => nap::wake(app, actor, target, &asked, trigger).await,
        }
    }
}

/// What a URL names: what is to be done, and to which target of what name.
struct Named {
    kind: TargetType,
    key: String,
    target: Target,
    name: String,
    deed: TargetAction,
}

impl Named {
    async fn find(page: &Page<Operator>, kind: TargetType, (key, word): (String, String)) -> Result<Self> {
        let deed = TargetAction::parse(&word)
            .ok_or_else(|| Error::not_found("page", format!("{kind}s/{key}/{word}")))?;
        let target = targets::find(&page.app, kind, &key)?;
        let name = match &target.subject {
            Subject::Stack(name) => name.clone(),
            Subject::Container(_) => {
                stacks::container(&page.app, &page.actor, &target.host, &key).await?.container.name.clone()
            }
        };
        Ok(Self { kind, key, target, name, deed })
    }

    /// The question before it, with what was typed into it.
    async fn question(&self, page: &Page<Operator>, typed: &Typed) -> Result<Question> {
        let Self { target, deed, .. } = self;
        let question = Question::of(*deed, target, &self.name);
        let reason = Some(typed.get("reason").to_owned());
        match deed {
            TargetAction::Lock => {
                let text =
                    "While it is locked DockNap never touches it: no schedule, no button, no API call does.";
                return Ok(Question { text: text.to_owned(), reason, ..question });
            }
            TargetAction::Unlock => {
                let text = "Its schedules act on it again from now on.".to_owned();
                return Ok(Question { text, ..question });
            }
            TargetAction::Do(_) | TargetAction::Nap | TargetAction::Wake => {}
        }
        let plan = deed.plan(page, target).await?;
        let course = deed.course(&page.app, target).await?;
        Ok(Question {
            parts: vec![Part { plan, asks: *deed == TargetAction::Do(Action::Start), ..Part::default() }],
            ticked: typed.all("also_start").map(str::to_owned).collect(),
            reason: reason.filter(|_| course.is_some()),
            ends: course.map(|course| Ends::new(&course, &page.shell.now, typed)),
            ..question
        })
    }

    /// Does it; what became of it, in a message.
    async fn run(&self, page: &Page<Operator>, typed: &Typed) -> Result<Flash> {
        let Self { kind, key, target, name, deed } = self;
        let (app, actor, host) = (&page.app, &page.actor, &target.host);
        match deed {
            TargetAction::Lock => {
                locks::lock(app, actor, host, *kind, key, typed.get("reason")).await?;
            }
            TargetAction::Unlock => locks::unlock(app, actor, host, *kind, key).await?,
            TargetAction::Do(_) | TargetAction::Nap | TargetAction::Wake => {
                let also = targets::named_members(app, target, typed.all("also_start"))?;
                let submitted = deed.submit(page, target, typed, also, Trigger::Manual).await?;
                return Ok(told(*deed, name, &submitted));
            }
        }
        Ok(Flash::new("good", format!("{} {}.", view::shown_name(name), deed.does(1))))
    }
}

async fn ask(
    page: Page<Operator>,
    whence: Whence,
    kind: TargetType,
    path: (String, String),
) -> Result<Response> {
    let named = Named::find(&page, kind, path).await?;
    named.question(&page, &Typed::default()).await?.staying(&whence).ask(&page)
}

async fn act(
    page: Page<Operator>,
    kind: TargetType,
    path: (String, String),
    typed: Typed,
) -> Result<Response> {
    let named = Named::find(&page, kind, path).await?;
    let whence = Whence::sent(&typed);
    match named.run(&page, &typed).await {
        Ok(toast) => page.stay(&whence.or(&view::target_page(&named.target)), toast).await,
        Err(Error::Invalid(errors)) => {
            let question = named.question(&page, &typed).await?.staying(&whence);
            Question { errors, ..question }.ask(&page)
        }
        Err(other) => Err(other),
    }
}

type Names = Path<(String, String)>;

async fn ask_stack(page: Page<Operator>, Path(path): Names, whence: Whence) -> Result<Response> {
    ask(page, whence, TargetType::Stack, path).await
}

async fn ask_container(page: Page<Operator>, Path(path): Names, whence: Whence) -> Result<Response> {
    ask(page, whence, TargetType::Container, path).await
}

async fn act_stack(page: Page<Operator>, Path(path): Names, typed: Typed) -> Result<Response> {
    act(page, TargetType::Stack, path, typed).await
}

async fn act_container(page: Page<Operator>, Path(path): Names, typed: Typed) -> Result<Response> {
    act(page, TargetType::Container, path, typed).await
}
