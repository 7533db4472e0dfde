//! One thing done to several targets: asked for once with everything that will happen, then done.

use axum::extract::RawQuery;
use axum::response::Response;

use super::actions::{Part, Question, Whence, told};
use super::ends::Ends;
use super::target_actions::TargetAction;
use super::undo;
use crate::app::execute::Submitted;
use crate::app::{App, Error, Result, targets};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::run::Trigger;
use crate::domain::target::{Target, TargetType};
use crate::web::auth::Operator;
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Flash;
use crate::web::view::{self, Link};

/// Targets at once: as the API takes.
pub(super) const MOST: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new().get("/actions", Access::OPERATOR, ask).post("/actions", Access::OPERATOR, act)
}

/// What may be done to several: the word is sent as `do`.
pub(super) const TARGET_ACTIONS: [TargetAction; 5] = [
    TargetAction::Wake,
    TargetAction::Nap,
    TargetAction::Do(Action::Start),
    TargetAction::Do(Action::Stop),
    TargetAction::Do(Action::Restart),
];

/// What was asked for: what is done, and to which targets.
struct BulkRequest {
    deed: TargetAction,
    /// Each with its name; one named twice is there once.
    targets: Vec<(Target, String)>,
}

impl BulkRequest {
    fn read(app: &App, typed: &Typed) -> Result<Self> {
        let word = typed.get("do");
        let deed = TARGET_ACTIONS.into_iter().find(|deed| deed.word() == word);
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

    async fn question(&self, page: &Page<Operator>, typed: &Typed) -> Result<Question> {
        let (deed, now, back) = (self.deed, &page.shell.now, Link::new("/", "Stacks"));
        if self.targets.is_empty() {
            return Ok(Question {
                title: "Nothing is chosen".to_owned(),
                text: "Tick one or more stacks in the list first.".to_owned(),
                parts: vec![Part::default()],
                back,
                ..Question::default()
            });
        }
        let (mut parts, mut sum) = (Vec::new(), Sum::of(self));
        for (target, name) in &self.targets {
            let plan = deed.plan(page, target).await?;
            sum.add(name, plan.idle());
            let course = deed.course(&page.app, target).await?;
            parts.push(Part {
                name: view::shown_name(name),
                plan,
                asks: deed == TargetAction::Do(Action::Start),
                ends: course.map(|course| Ends::open(&course, now)).unwrap_or_default(),
            });
        }
        let napped = matches!(deed, TargetAction::Nap | TargetAction::Wake);
        let label = match (self.targets.as_slice(), deed) {
            ([(_, name)], deed) => deed.label_of(&view::shown_name(name)),
            // None of them changes; what is asked for lasts all the same.
            (all, TargetAction::Nap) if sum.acts == 0 => format!("Keep {} asleep", sum.counted(all.len())),
            (all, TargetAction::Wake) if sum.acts == 0 => format!("Keep {} awake", sum.counted(all.len())),
            (_, deed) if sum.acts == 0 => format!("Nothing to {}", deed.word()),
            (_, deed) => deed.label_of(&sum.counted(sum.acts)),
        };
        let keys = self.targets.iter().map(|(target, _)| ("t", view::target_value(target)));
        Ok(Question {
            title: if napped || sum.acts > 0 { format!("{label}?") } else { label.clone() },
            label,
            text: if sum.left.is_empty() { String::new() } else { sum.told() },
            icon: deed.icon(),
            harsh: matches!(deed, TargetAction::Do(action) if action.reverses_order()),
            action: "/actions".to_owned(),
            hidden: std::iter::once(("do", deed.word().to_owned())).chain(keys).collect(),
            back,
            parts,
            ticked: typed.all("also_start").map(str::to_owned).collect(),
            ends: napped.then(|| Ends::of_several(deed == TargetAction::Wake, now, typed)),
            reason: napped.then(|| typed.get("reason").to_owned()),
            ..Question::default()
        })
    }

    async fn submit(&self, page: &Page<Operator>, target: &Target, typed: &Typed) -> Result<Submitted> {
        // Each box is of one of the targets.
        let ticked = typed.all("also_start");
        let also = ticked.filter_map(|one| targets::named_members(&page.app, target, [one]).ok()).flatten();
        self.deed.submit(page, target, typed, also.collect(), Trigger::Bulk).await
    }
}

/// How many of them act, and which are left as they are: the same in the question and in the message after it.
struct Sum<'a> {
    request: &'a BulkRequest,
    acts: usize,
    /// Each with the reason.
    left: Vec<(String, String)>,
}

impl<'a> Sum<'a> {
    fn of(request: &'a BulkRequest) -> Self {
        Self { request, acts: 0, left: Vec::new() }
    }

    fn add(&mut self, name: &str, idle: Option<String>) {
        match idle {
            None => self.acts += 1,
            Some(why) => self.left.push((view::shown_name(name), why)),
        }
    }

    /// `2 stacks`.
    fn counted(&self, number: usize) -> String {
        let is_all = |kind| self.request.targets.iter().all(|(target, _)| target.target_type() == kind);
        let noun = match () {
            () if is_all(TargetType::Stack) => "stack",
            () if is_all(TargetType::Container) => "container",
            () => "target",
        };
        view::count(number, noun)
    }

    /// What became of it, in a message.
    fn message(&self, begun: &[Submitted], refused: bool) -> Flash {
        let deed = self.request.deed;
        let tone = match (self.request.targets.as_slice(), begun) {
            ([], _) => return Flash::new("info", "Nothing was chosen, so nothing was done."),
            ([(_, name)], [one]) => return told(deed, name, one),
            ([_], []) => return Flash::new("warn", self.left_alone()),
            _ if refused => "warn",
            _ if self.acts == 0 => "info",
            _ => "good",
        };
        let toast = Flash::new(tone, self.told()).with_link("/runs", "View runs");
        let undoable = begun.iter().filter(|one| deed.can_be_undone(one)).map(Submitted::run_id);
        let undoable: Vec<&RunId> = undoable.collect();
        if undoable.is_empty() { toast } else { toast.with_undo(undo::href(undoable)) }
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
            many => Some(format!("{} {}", self.counted(many), self.request.deed.does(many))),
        };
        let left = match self.left.len() {
            0 => None,
            1 => Some("1 is left as it is".to_owned()),
            many => Some(format!("{many} are left as they are")),
        };
        let told = acts.into_iter().chain(left).collect::<Vec<_>>().join(", ");
        if self.left.is_empty() {
            return told + ".";
        }
        let left: Vec<String> = self.left.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        format!("{told} ({}).", view::first_few(&left, "; ", "; and "))
    }
}

async fn ask(page: Page<Operator>, RawQuery(query): RawQuery, whence: Whence) -> Result<Response> {
    let typed = Typed::parse(query.unwrap_or_default().as_bytes());
    let request = BulkRequest::read(&page.app, &typed)?;
    request.question(&page, &typed).await?.staying(&whence).ask(&page)
}

async fn act(page: Page<Operator>, typed: Typed) -> Result<Response> {
    let request = BulkRequest::read(&page.app, &typed)?;
    let whence = Whence::sent(&typed);
    let (mut sum, mut begun, mut refused) = (Sum::of(&request), Vec::new(), false);
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
            // The same for all of them: what was typed.
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
    page.stay(&whence.or("/"), sum.message(&begun, refused)).await
}
