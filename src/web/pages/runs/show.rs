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
use crate::web::htmx::Htmx;
use crate::web::pages;
use crate::web::pages::actions::Act;
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Link, Now, Sampled, When};

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

/// The same run while a guard holds it back.
fn held_back(run: RunPage) -> RunPage {
    RunPage {
        state: RunState::Pending.into(),
        open: true,
        started: None,
        ended: None,
        duration: String::new(),
        reason: "busy: media-web-1 at 63\u{a0}% CPU (limit 20\u{a0}%); looks again at 23:05, sleeps all the \
                 same at 23:30"
            .to_owned(),
        progress: "Held back until its next look".to_owned(),
        done: (0, 3),
        can_cancel: true,
        retry: None,
        trouble: None,
        usual: None,
        ..run
    }
}

impl StepRow {
    fn sample(wave: i64, container: &str, state: StepState) -> Self {
        Self {
            wave,
            opens_wave: true,
            container: container.to_owned(),
            href: "/containers/0123456789abcdef".to_owned(),
            action: "Start",
            state: state.into(),
            waits: String::new(),
            issued: Some(Now::sample().plus(-30)),
            duration: "3.1 s".to_owned(),
            bar: Some(Bar {
                title: "sent after 4.0 s, up after 7.1 s, healthy within 12 s".to_owned(),
                sent: 130 * (wave - 1),
                took: 240,
                healthy: Some(400),
            }),
            raw: None,
            exit: String::new(),
            note: String::new(),
            output: None,
        }
    }
}

impl RunPage {
    /// A run of which one step failed.
    fn sample() -> Self {
        let now = Now::sample();
        let past = Past { took: (1..20).map(|n| (RunId(n.to_string()), n * 1000)).collect() };
        Self {
            shell: Shell { here: "runs", ..Shell::sample() },
            id: "0199c1d2-0000-7000-8000-000000000000".to_owned(),
            title: "Start media".to_owned(),
            state: RunState::Partial.into(),
            target: Link::new("/stacks/0123456789abcdef", "media"),
            cause: "by schedule Mornings".to_owned(),
            schedule: Some(Link::new("/schedules/1", "Mornings")),
            retry_of: None,
            undoes: false,
            reason: "1 of 3 steps failed".to_owned(),
            why: "asleep by “Nights” (sleep 23:00-07:00)".to_owned(),
            due: Some(now.plus(-42)),
            asked: now.plus(-41),
            started: Some(now.plus(-40)),
            ended: Some(now.plus(-9)),
            duration: "31 s".to_owned(),
            open: false,
            progress: String::new(),
            done: (3, 3),
            steps: vec![
                StepRow::sample(1, "media-db-1", StepState::Succeeded),
                StepRow {
                    waits: "media-db-1 to be healthy".to_owned(),
                    exit: view::exit_code(127),
                    note: "its program was not found in the image. Check its command.".to_owned(),
                    raw: Some("its program was not found (exit code 127)".to_owned()),
                    output: Some("exec: \"serve\": executable file not found in $PATH".to_owned()),
                    ..StepRow::sample(2, "media-web-1", StepState::Failed)
                },
                StepRow {
                    issued: None,
                    bar: None,
                    duration: String::new(),
                    note: "media-web-1 failed, and this one needs it".to_owned(),
                    ..StepRow::sample(3, "media-indexer-1", StepState::Skipped)
                },
                StepRow {
                    issued: None,
                    bar: None,
                    duration: String::new(),
                    note: "a one-shot that has done its work".to_owned(),
                    ..StepRow::sample(0, "media-migrate-1", StepState::Skipped)
                },
            ],
            can_cancel: false,
            retry: Some(Act {
                action: "retry",
                label: "Retry what failed",
                icon: "rotate-cw",
                href: "/runs/1/retry".to_owned(),
                of: String::new(),
            }),
            late: "3 min late".to_owned(),
            slow: Some("slower than usual: half of the last 19 runs took 10 s or less".to_owned()),
            trouble: Some(Trouble {
                title: "1 of 3 steps failed".to_owned(),
                text: "media-web-1: its program was not found in the image.".to_owned(),
                raw: Some("its program was not found (exit code 127)".to_owned()),
            }),
            length: "31 s".to_owned(),
            usual: Usual::new(&past, &RunId("7".to_owned())),
            audit: "/audit?run=1".to_owned(),
            others: "/runs?target=stack/0123456789abcdef".to_owned(),
            missed: None,
        }
    }
}

impl Sampled for RunPage {
    fn samples() -> Vec<Self> {
        let now = Now::sample();
        let failed = Self::sample();
        vec![
            held_back(failed.clone()),
            Self {
                state: RunState::Executing.into(),
                open: true,
                ended: None,
                duration: String::new(),
                reason: String::new(),
                progress: "1 of 3 steps done".to_owned(),
                done: (1, 3),
                can_cancel: true,
                retry: None,
                trouble: None,
                usual: None,
                steps: vec![
                    StepRow::sample(1, "media-db-1", StepState::Succeeded),
                    StepRow::sample(2, "media-web-1", StepState::Issued),
                    StepRow {
                        issued: None,
                        bar: None,
                        duration: String::new(),
                        ..StepRow::sample(3, "media-indexer-1", StepState::Pending)
                    },
                ],
                ..failed.clone()
            },
            Self {
                state: RunState::Missed.into(),
                started: None,
                steps: vec![],
                reason: "DockNap was off at that time; 3 occurrences, the first 23:00 Mon".to_owned(),
                retry_of: Some(Link::new("/runs/1", "an earlier run")),
                undoes: true,
                retry: None,
                trouble: None,
                length: String::new(),
                schedule: Some(Link::new("", "Mornings")),
                missed: Some(("3 times".to_owned(), now.plus(-200_000), now.plus(-40_000))),
                ..failed.clone()
            },
            failed,
        ]
    }
}
