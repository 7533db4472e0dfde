//! One run: why it went as it did, what happened when, and how long that usually takes.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::list::{late, slow};
use super::picture::{Bar, Span, Spark};
use super::{cause, title, words};
use crate::app::history::{self, Past, RunDetail};
use crate::app::{Error, Result, schedules};
use crate::domain::ids::RunId;
use crate::domain::run::{RunState, Step, StepState, Trigger};
use crate::domain::target::TargetType;
use crate::domain::text::capital;
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::filters;
use crate::web::htmx::Htmx;
use crate::web::pages;
use crate::web::pages::actions::Act;
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Link, Now, When};

/// One run.
#[derive(Template, Clone, Debug)]
#[template(path = "runs/show.html", blocks = ["live"])]
pub struct RunPage {
    pub shell: Shell,
    pub id: String,
    /// `Stop media`.
    pub title: String,
    /// Where it stands.
    pub state: Badge,
    /// The stack or container.
    pub target: Link,
    /// `by schedule Nights`.
    pub cause: String,
    /// The schedule that made it.
    pub schedule: Option<Link>,
    /// The run it repeats, or undoes.
    pub retry_of: Option<Link>,
    /// It undoes that run.
    pub undoes: bool,
    /// Why it stands there.
    pub reason: String,
    /// Why it was asked for; may be empty.
    pub why: String,
    /// When it was due.
    pub due: Option<When>,
    /// When it was asked for.
    pub asked: When,
    /// When it began.
    pub started: Option<When>,
    pub ended: Option<When>,
    /// How long it took.
    pub duration: String,
    /// It goes on.
    pub open: bool,
    /// How far it is, in words.
    pub progress: String,
    /// Steps that have ended, and all of them.
    pub done: (usize, usize),
    /// The steps, wave by wave.
    pub steps: Vec<StepRow>,
    /// The reader may call it off.
    pub can_cancel: bool,
    /// The button that asks before it repeats what failed; for operators.
    pub retry: Option<Act>,
    /// How long after its instant it began; empty where it was on time.
    pub late: String,
    /// What is usual, where this one was slower.
    pub slow: Option<String>,
    /// What went wrong first, in plain words.
    pub trouble: Option<Trouble>,
    /// How long the run took, as the bars of its steps are parts of it; empty before it began.
    pub length: String,
    /// How long such runs take; `None` where there is none to compare with.
    pub usual: Option<Usual>,
    /// Its rows in the audit log.
    pub audit: String,
    /// The runs of the same target.
    pub others: String,
    /// For fires that passed while nobody was there: how many, and from when to when.
    pub missed: Option<(String, When, When)>,
}

/// What went wrong first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `1 of 3 steps failed`
    pub title: String,
    /// What it means and what to do.
    pub text: String,
    /// What Docker said, where that is something else.
    pub raw: Option<String>,
}

/// How long runs of the same target and action take.
#[derive(Clone, Debug)]
pub struct Usual {
    /// Half of them took no longer.
    pub median: String,
    /// Nine of ten took no longer.
    pub p90: String,
    /// How many they are, in words.
    pub runs: String,
    /// A bar for each.
    pub spark: Option<Spark>,
    /// Each of them and how long it took, the newest first.
    pub took: Vec<(Link, String)>,
}

impl Usual {
    fn new(past: &Past, run: &RunId) -> Option<Self> {
        let pace = crate::domain::pace::Pace::of(past.took.iter().map(|(_, took)| *took))?;
        let this = |id: &RunId| if id == run { "This run" } else { "A run" };
        Some(Self {
            median: view::duration(pace.median_ms),
            p90: view::duration(pace.p90_ms),
            runs: view::count(pace.runs, "run"),
            spark: Spark::new(past, run),
            took: past
                .took
                .iter()
                .rev()
                .map(|(id, took)| (Link::new(format!("/runs/{id}"), this(id)), view::duration(*took)))
                .collect(),
        })
    }
}

impl Trouble {
    fn new(state: RunState, reason: &str, steps: &[Step], now: &Now) -> Option<Self> {
        if !state.needs_attention() {
            return None;
        }
        let planned = steps.iter().filter(|step| step.wave > 0).count();
        let bad = |step: &&Step| matches!(step.state, StepState::Failed | StepState::Interrupted);
        let failed = steps.iter().filter(bad).count();
        let title = match (state, failed) {
            (RunState::Interrupted, _) => "It was cut off half-way".to_owned(),
            (_, 0) => "Not all of it was done".to_owned(),
            (_, failed) => format!("{failed} of {} failed", view::count(planned, "step")),
        };
        let Some(step) = steps.iter().find(bad) else {
            return Some(Self { title, text: capital(&words::reason(reason, now)), raw: None });
        };
        let error = step.error.as_deref().unwrap_or("it failed");
        let plain = words::plain(error);
        let name = view::shown_name(&step.container);
        Some(Self {
            title,
            text: format!("{name}: {}", plain.unwrap_or(error)),
            raw: plain.is_some().then(|| error.to_owned()),
        })
    }
}

/// One step of a run.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// Wave, from 1; 0 for what the plan skips.
    pub wave: i64,
    /// Opens a new wave.
    pub opens_wave: bool,
    pub container: String,
    pub href: String,
    pub action: &'static str,
    /// Where it stands.
    pub state: Badge,
    /// What it waits or waited for.
    pub waits: String,
    /// When it was sent to Docker.
    pub issued: Option<When>,
    /// How long it took.
    pub duration: String,
    /// When what happened to it, along the whole run.
    pub bar: Option<Bar>,
    /// Its exit code, explained.
    pub exit: String,
    /// Why it stands there, or what went wrong, in plain words.
    pub note: String,
    /// What Docker said, where that is something else.
    pub raw: Option<String>,
    /// The last lines of its log; for operators.
    pub output: Option<String>,
}

impl StepRow {
    fn new(step: &Step, opens_wave: bool, bar: Option<Bar>, now: &Now) -> Self {
        let error = step.error.as_deref().filter(|error| !error.is_empty());
        let told = error.and_then(words::plain);
        // A process that ended as it was asked to needs no explanation.
        let plain = step.exit_code == Some(0) && step.state == StepState::Succeeded;
        Self {
            wave: step.wave,
            opens_wave,
            container: view::shown_name(&step.container),
            href: format!("/containers/{}", crate::domain::target::key(&step.host, &step.identity.to_text())),
            action: step.action.label(),
            state: step.state.into(),
            waits: view::waits(&step.wait_for),
            issued: step.issued_at.map(|at| now.when(at)),
            duration: step.duration_ms.map(view::duration).unwrap_or_default(),
            exit: step.exit_code.filter(|_| !plain).map(view::exit_code).unwrap_or_default(),
            note: told
                .map(capital)
                .or(error.map(str::to_owned))
                .unwrap_or_else(|| words::reason(&step.reason, now)),
            raw: error.filter(|_| told.is_some()).map(str::to_owned),
            bar,
            output: step.output.clone(),
        }
    }
}

impl RunPage {
    /// A run as a page.
    pub fn new(shell: Shell, detail: &RunDetail, past: Option<&Past>, now: &Now) -> Self {
        let RunDetail { run, steps } = detail;
        let span = Span::of(run, now.at);
        let trouble = Trouble::new(run.state, &run.reason, steps, now);
        let open = !run.state.is_terminal();
        let operates = shell.can_operate();
        let counted = || steps.iter().filter(|step| step.wave > 0);
        let done = (counted().filter(|step| step.state.is_terminal()).count(), counted().count());
        let mut last_wave = None;
        let rows = steps
            .iter()
            .map(|step| {
                let opens = last_wave.replace(step.wave) != Some(step.wave);
                StepRow::new(step, opens, span.and_then(|span| span.bar(step, steps)), now)
            })
            .collect();
        Self {
            id: run.id.to_string(),
            title: title(run),
            state: run.state.into(),
            target: Link::new(
                match run.target.target_type() {
                    TargetType::Stack => format!("/stacks/{}", run.target.key()),
                    TargetType::Container => format!("/containers/{}", run.target.key()),
                },
                view::shown_name(&run.target_name),
            ),
            cause: cause(run),
            schedule: run.schedule_id.as_ref().map(|id| {
                Link::new(
                    format!("/schedules/{id}"),
                    run.schedule_name.clone().unwrap_or_else(|| "its schedule".to_owned()),
                )
            }),
            retry_of: run.retry_of.as_ref().map(|id| Link::new(format!("/runs/{id}"), "an earlier run")),
            undoes: run.trigger == Trigger::Undo,
            reason: if trouble.is_some() { String::new() } else { words::reason(&run.reason, now) },
            why: now.words(&run.why),
            due: run.fire_at.map(|at| now.when(at)),
            asked: now.when(run.created_at),
            started: run.started_at.map(|at| now.when(at)),
            ended: run.finished_at.map(|at| now.when(at)),
            duration: run.duration_ms().map(view::duration).unwrap_or_default(),
            open,
            progress: match run.state {
                RunState::Pending if run.is_guarded() && run.look_at.is_some() => {
                    "Held back until its next look".to_owned()
                }
                RunState::Pending => "Waiting for its turn".to_owned(),
                _ => format!("{} of {} done", done.0, view::count(done.1, "step")),
            },
            done,
            steps: rows,
            can_cancel: open && operates,
            retry: (operates && run.state.needs_attention()).then(|| Act {
                action: "retry",
                label: "Retry what failed",
                icon: "rotate-cw",
                href: format!("/runs/{}/retry", run.id),
                of: String::new(),
            }),
            late: late(run),
            slow: past.and_then(|past| slow(run, past)),
            trouble,
            length: span.map(|span| span.length()).unwrap_or_default(),
            usual: past.and_then(|past| Usual::new(past, &run.id)),
            audit: format!("/audit?run={}", run.id),
            others: format!("/runs?target={}/{}", run.target.target_type(), run.target.key()),
            missed: run.missed.as_ref().map(|span| {
                let count = view::count(usize::try_from(span.count).unwrap_or_default(), "time");
                (count, now.when(span.first), now.when(span.last))
            }),
            shell,
        }
    }

    /// The same with links only to what there is: a schedule or a target that is gone keeps its name.
    #[must_use]
    fn linked(mut self, schedule: bool, target: bool) -> Self {
        if let Some(link) = self.schedule.as_mut().filter(|_| !schedule) {
            link.href.clear();
        }
        if !target {
            self.target.href.clear();
        }
        self
    }
}

pub(super) async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Response> {
    let (app, actor) = (&web.app, &caller.actor);
    let detail = history::get(app, actor, &RunId(id)).await?;
    let run = &detail.run;
    let pasts = history::pasts(app, actor, std::slice::from_ref(run)).await?;
    let past = pasts.get(&(run.target.clone(), run.action));
    // A schedule that is gone keeps its name, but has no page.
    let known = match &run.schedule_id {
        None => false,
        Some(id) => match schedules::get(app, actor, id).await {
            Ok(_) => true,
            Err(Error::NotFound { .. }) => false,
            Err(other) => return Err(other),
        },
    };
    let present = history::is_present(app, &run.target);
    let now = pages::now(&web, &shell);
    let page = RunPage::new(shell, &detail, past, &now).linked(known, present);
    pages::part(&htmx, &page, &page.as_live())
}
