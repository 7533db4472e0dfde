//! An action on one target: `GET` shows the confirmation and `POST` submits the action. The last segment of the URL
//! names the action.

use axum::extract::Path;
use axum::response::Response;

use super::ends::Ends;
use super::{Part, Question, TargetAction, Whence, result_message};
use crate::app::{Error, Result, locks, targets};
use crate::domain::action::Action;
use crate::domain::run::Trigger;
use crate::domain::target::Target;
use crate::domain::target::TargetType::{self, Container, Stack};
use crate::web::auth::Operator;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Flash;
use crate::web::view;

pub(super) fn routes() -> Routes {
    let (stacks, containers) = ("/stacks/{key}/{action}", "/containers/{key}/{action}");
    Routes::new()
        .get(stacks, Access::OPERATOR, |page, path, whence| ask(Stack, page, path, whence))
        .post(stacks, Access::OPERATOR, |page, path, typed| act(Stack, page, path, typed))
        .get(containers, Access::OPERATOR, |page, path, whence| ask(Container, page, path, whence))
        .post(containers, Access::OPERATOR, |page, path, typed| act(Container, page, path, typed))
}

/// The target and the action that a URL names.
struct Named {
    kind: TargetType,
    key: String,
    target: Target,
    name: String,
    action: TargetAction,
}

impl Named {
    fn find(page: &Page<Operator>, kind: TargetType, (key, word): (String, String)) -> Result<Self> {
        let action = TargetAction::parse(&word)
            .ok_or_else(|| Error::not_found("page", format!("{kind}s/{key}/{word}")))?;
        let target = targets::find(&page.app, kind, &key)?;
        let name = page.shell.placed(&targets::name(&page.app, &target), &target.host);
        Ok(Self { kind, key, target, name, action })
    }

    /// The confirmation, with the values that the user entered.
    async fn question(&self, page: &Page<Operator>, typed: &Typed) -> Result<Question> {
        let Self { target, action, .. } = self;
        let question = Question::of(*action, target, &self.name);
        let reason = Some(typed.get("reason").to_owned());
        match action {
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
        let plan = action.plan(page, target).await?;
        let course = action.course(&page.app, target).await?;
        Ok(Question {
            parts: vec![Part { plan, asks: *action == TargetAction::Do(Action::Start), ..Part::default() }],
            ticked: typed.all("also_start").map(str::to_owned).collect(),
            reason: reason.filter(|_| course.is_some()),
            ends: course.map(|course| Ends::new(&course, &page.shell.now, typed)),
            ..question
        })
    }

    /// Submits the action and returns the message about the result.
    async fn run(&self, page: &Page<Operator>, typed: &Typed) -> Result<Flash> {
        let Self { kind, key, target, name, action } = self;
        let (app, actor, host) = (&page.app, &page.actor, &target.host);
        match action {
            TargetAction::Lock => {
                locks::lock(app, actor, host, *kind, key, typed.get("reason")).await?;
            }
            TargetAction::Unlock => locks::unlock(app, actor, host, *kind, key).await?,
            TargetAction::Do(_) | TargetAction::Nap | TargetAction::Wake => {
                let also = targets::named_members(app, target, typed.all("also_start"))?;
                let submitted = action.submit(page, target, typed, also, Trigger::Manual).await?;
                return Ok(result_message(*action, name, &submitted));
            }
        }
        Ok(Flash::new("good", format!("{} {}.", view::shown_name(name), action.does(1))))
    }
}

type Names = Path<(String, String)>;

async fn ask(kind: TargetType, page: Page<Operator>, Path(path): Names, whence: Whence) -> Result<Response> {
    let named = Named::find(&page, kind, path)?;
    named.question(&page, &Typed::default()).await?.staying(&whence).ask(&page)
}

async fn act(kind: TargetType, page: Page<Operator>, Path(path): Names, typed: Typed) -> Result<Response> {
    let named = Named::find(&page, kind, path)?;
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
