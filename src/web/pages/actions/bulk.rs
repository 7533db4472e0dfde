//! The bulk action of the dashboard: one action on several targets. `GET /actions` shows one confirmation with the plan
//! of every target, and `POST /actions` submits a run for each target.

use axum::extract::RawQuery;
use axum::response::Response;

use super::ends::Ends;
use super::question::undoable;
use super::{MOST, Part, Question, TargetAction, Whence, result_message};
use crate::app::execute::Submitted;
use crate::app::{Error, Result, targets};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::run::Trigger;
use crate::domain::target::{Target, TargetType};
use crate::web::auth::Operator;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::pages::target_of;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Flash;
use crate::web::view::{self, Link};

pub(super) fn routes() -> Routes {
    Routes::new().get("/actions", Access::OPERATOR, ask).post("/actions", Access::OPERATOR, act)
}

/// The actions that can be done to several targets. The form field `do` holds the action's word.
pub const OFFERED: [TargetAction; 5] = [
    TargetAction::Wake,
    TargetAction::Nap,
    TargetAction::Do(Action::Start),
    TargetAction::Do(Action::Stop),
    TargetAction::Do(Action::Restart),
];

/// A bulk request: the action and its targets.
struct BulkRequest {
    action: TargetAction,
    /// Each target with its name. A target that the request names twice is here once.
    targets: Vec<(Target, String)>,
}

/// The number of targets on which the action acts, and the targets that it leaves as they are, each with the reason.
/// The confirmation and the message after the action show the same numbers.
#[derive(Default)]
struct Sum {
    acts: usize,
    left: Vec<(String, String)>,
}

impl Sum {
    fn add(&mut self, name: &str, idle: Option<String>) {
        match idle {
            None => self.acts += 1,
            Some(why) => self.left.push((view::shown_name(name), why)),
        }
    }
}

impl BulkRequest {
    fn read(page: &Page<Operator>, typed: &Typed) -> Result<Self> {
        let app = &page.app;
        let word = typed.get("do");
        let action = OFFERED.into_iter().find(|action| action.word() == word);
        let action = action.ok_or_else(|| Error::not_found("page", format!("actions?do={word}")))?;
        let mut targets: Vec<(Target, String)> = Vec::new();
        for text in typed.all("t").take(MOST + 1) {
            let target = target_of(app, text)?.filter(|target| !target.is_wide());
            let target = target
                .ok_or_else(|| Error::not_found("target", text.chars().take(64).collect::<String>()))?;
            if !targets.iter().any(|(known, _)| *known == target) {
                let name = page.shell.placed(&targets::name(app, &target), &target.host);
                targets.push((target, name));
            }
        }
        if targets.len() > MOST {
            return Err(Error::field("t", format!("choose {MOST} at most")));
        }
        Ok(Self { action, targets })
    }

    async fn question(&self, page: &Page<Operator>, typed: &Typed) -> Result<Question> {
        let (action, now, back) = (self.action, &page.shell.now, Link::new("/", "Stacks"));
        if self.targets.is_empty() {
            return Ok(Question {
                title: "Nothing is chosen".to_owned(),
                text: "Tick one or more stacks in the list first.".to_owned(),
                parts: vec![Part::default()],
                back,
                ..Question::default()
            });
        }
        let (mut parts, mut sum) = (Vec::new(), Sum::default());
        for (target, name) in &self.targets {
            let plan = action.plan(page, target).await?;
            sum.add(name, plan.idle());
            let course = action.course(&page.app, target).await?;
            parts.push(Part {
                name: view::shown_name(name),
                plan,
                asks: action == TargetAction::Do(Action::Start),
                ends: course.map(|course| Ends::open(&course, now)).unwrap_or_default(),
            });
        }
        let lasts = matches!(action, TargetAction::Nap | TargetAction::Wake);
        let label = match (self.targets.as_slice(), action) {
            ([(_, name)], action) => action.label_of(&view::shown_name(name)),
            // The action changes no target now, but the override that keeps them asleep or awake is still created.
            (all, TargetAction::Nap) if sum.acts == 0 => format!("Keep {} asleep", self.counted(all.len())),
            (all, TargetAction::Wake) if sum.acts == 0 => format!("Keep {} awake", self.counted(all.len())),
            (_, action) if sum.acts == 0 => format!("Nothing to {}", action.word()),
            (_, action) => action.label_of(&self.counted(sum.acts)),
        };
        let keys = self.targets.iter().map(|(target, _)| ("t", view::target_value(target)));
        Ok(Question {
            title: if lasts || sum.acts > 0 { format!("{label}?") } else { label.clone() },
            label,
            text: if sum.left.is_empty() { String::new() } else { self.sentence(&sum) },
            icon: action.icon(),
            harsh: action.is_harsh(),
            action: "/actions".to_owned(),
            hidden: std::iter::once(("do", action.word().to_owned())).chain(keys).collect(),
            back,
            parts,
            ticked: typed.all("also_start").map(str::to_owned).collect(),
            ends: lasts.then(|| Ends::of_several(action == TargetAction::Wake, now, typed)),
            reason: lasts.then(|| typed.get("reason").to_owned()),
            ..Question::default()
        })
    }

    async fn submit(&self, page: &Page<Operator>, target: &Target, typed: &Typed) -> Result<Submitted> {
        // A ticked box belongs to one of the targets. The boxes of other targets do not resolve here and are dropped.
        let ticked = typed.all("also_start");
        let also = ticked.filter_map(|one| targets::named_members(&page.app, target, [one]).ok()).flatten();
        self.action.submit(page, target, typed, also.collect(), Trigger::Bulk).await
    }

    /// The number with its noun, as in `2 stacks`.
    fn counted(&self, number: usize) -> String {
        let is_all = |kind| self.targets.iter().all(|(target, _)| target.target_type() == kind);
        let noun = match () {
            () if is_all(TargetType::Stack) => "stack",
            () if is_all(TargetType::Container) => "container",
            () => "target",
        };
        view::count(number, noun)
    }

    /// The message about the result.
    fn message(&self, sum: &Sum, begun: &[Submitted], refused: bool) -> Flash {
        let tone = match (self.targets.as_slice(), begun) {
            ([], _) => return Flash::new("info", "Nothing was chosen, so nothing was done."),
            ([(_, name)], [one]) => return result_message(self.action, name, one),
            ([_], []) => {
                let left = sum.left.iter().map(|(name, why)| format!("{name} stays as it is: {why}."));
                return Flash::new("warn", left.collect::<String>());
            }
            _ if refused => "warn",
            _ if sum.acts == 0 => "info",
            _ => "good",
        };
        let toast = Flash::new(tone, self.sentence(sum)).with_link("/runs", "View runs");
        let runs = begun.iter().filter(|one| self.action.can_be_undone(one)).map(Submitted::run_id);
        let runs: Vec<&RunId> = runs.collect();
        if runs.is_empty() { toast } else { undoable(toast, runs) }
    }

    /// One sentence for the whole request, as in `2 stacks nap, 1 is left as it is (wiki: already stopped).`
    fn sentence(&self, Sum { acts, left }: &Sum) -> String {
        let acts = (*acts > 0).then(|| format!("{} {}", self.counted(*acts), self.action.does(*acts)));
        let kept = match left.len() {
            0 => None,
            1 => Some("1 is left as it is".to_owned()),
            many => Some(format!("{many} are left as they are")),
        };
        let text = acts.into_iter().chain(kept).collect::<Vec<_>>().join(", ");
        if left.is_empty() {
            return text + ".";
        }
        let left: Vec<String> = left.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        format!("{text} ({}).", view::first_few(&left, "; ", "; and "))
    }
}

async fn ask(page: Page<Operator>, RawQuery(query): RawQuery, whence: Whence) -> Result<Response> {
    let typed = Typed::parse(query.unwrap_or_default().as_bytes());
    let request = BulkRequest::read(&page, &typed)?;
    request.question(&page, &typed).await?.staying(&whence).ask(&page)
}

async fn act(page: Page<Operator>, typed: Typed) -> Result<Response> {
    let request = BulkRequest::read(&page, &typed)?;
    let whence = Whence::sent(&typed);
    let (mut sum, mut begun, mut refused) = (Sum::default(), Vec::new(), false);
    for (target, name) in &request.targets {
        let idle = match request.submit(&page, target, &typed).await {
            Ok(submitted) => {
                let idle = match &submitted {
                    Submitted::New { idle, .. } => idle.clone(),
                    Submitted::Duplicate { .. } => Some("this was under way already".to_owned()),
                };
                begun.push(submitted);
                idle
            }
            // An error in one of these two fields is the same for all targets: the form is shown again.
            Err(Error::Invalid(errors))
                if errors.iter().any(|error| error.field == "until" || error.field == "reason") =>
            {
                let question = request.question(&page, &typed).await?.staying(&whence);
                return Question { errors, ..question }.ask(&page);
            }
            Err(error @ (Error::Internal(_) | Error::Unavailable { .. })) => return Err(error),
            Err(error) => {
                refused = true;
                Some(match error {
                    Error::Protected { reason, .. } => format!("protected: {reason}"),
                    other => other.to_string(),
                })
            }
        };
        sum.add(name, idle);
    }
    page.stay(&whence.or("/"), request.message(&sum, &begun, refused)).await
}
