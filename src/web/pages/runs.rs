//! What was done: the list of runs, and one run while it goes on and after.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use crate::app::history::{self, RunDetail, RunFilter};
use crate::app::paging::Page;
use crate::app::{App, Result, execute};
use crate::domain::ids::{RunId, ScheduleId};
use crate::domain::run::{Run, RunState, Step, StepState};
use crate::domain::target::TargetType;
use crate::web::Web;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Badge, Choice, Link, Now, Sampled, When};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/runs", Access::VIEWER, index)
        .get("/runs/{id}", Access::VIEWER, show)
        .post("/runs/{id}/cancel", Access::OPERATOR, cancel)
        .post("/runs/{id}/retry", Access::OPERATOR, retry)
}

/// A run in one line.
#[derive(Clone, Debug)]
pub struct RunLine {
    /// Its id.
    pub id: String,
    /// `Stop media`.
    pub title: String,
    /// Where it stands.
    pub state: Badge,
    /// `by schedule Nights`, `by hand, anna`.
    pub cause: String,
    /// Why it stands there; may be empty.
    pub reason: String,
    /// When it ended, else began, else was asked for.
    pub when: When,
    /// How long it took; empty while it goes on and where nothing was done.
    pub duration: String,
}

impl RunLine {
    /// A run in one line.
    pub fn new(run: &Run, now: &Now) -> Self {
        Self {
            id: run.id.to_string(),
            title: title(run),
            state: run.state.into(),
            cause: cause(run),
            reason: run.reason.clone(),
            when: now.when(run.finished_at.or(run.started_at).or(run.fire_at).unwrap_or(run.created_at)),
            duration: run.duration_ms().map(view::duration).unwrap_or_default(),
        }
    }

    /// Lines to try templates with.
    pub fn samples() -> Vec<Self> {
        let now = Now::sample();
        let line =
            |title: &str, state: RunState, cause: &str, reason: &str, seconds: i64, duration: &str| Self {
                id: "0199c1d2-0000-7000-8000-000000000000".to_owned(),
                title: title.to_owned(),
                state: state.into(),
                cause: cause.to_owned(),
                reason: reason.to_owned(),
                when: now.plus(seconds),
                duration: duration.to_owned(),
            };
        vec![
            line("Restart wiki", RunState::Executing, "by hand, anna", "", -4, ""),
            line("Stop media", RunState::Succeeded, "by schedule Nights", "", -640, "12 s"),
            line(
                "Start media",
                RunState::Partial,
                "by schedule Mornings",
                "1 of 3 steps failed",
                -46_000,
                "31 s",
            ),
            line("Stop shop", RunState::Skipped, "by schedule Nights", "already stopped", -60_000, ""),
            line(
                "Stop shop",
                RunState::Missed,
                "by schedule Nights",
                "DockNap was off; 3 times",
                -160_000,
                "",
            ),
            line(
                "Start ci-runner",
                RunState::Failed,
                "through the API, token ci",
                "exit code 127",
                -260_000,
                "3.2 s",
            ),
        ]
    }
}

fn title(run: &Run) -> String {
    format!("{} {}", run.action.label(), view::shown_name(&run.target_name))
}

fn cause(run: &Run) -> String {
    match &run.schedule_name {
        Some(name) if run.actor.kind == "scheduler" => format!("{} {name}", view::trigger(run.trigger)),
        Some(name) => format!("{}, {} (schedule {name})", view::trigger(run.trigger), run.actor.name),
        None => format!("{}, {}", view::trigger(run.trigger), run.actor.name),
    }
}

/// The list of runs.
#[derive(Template, Clone, Debug)]
#[template(path = "runs/index.html", blocks = ["rows"])]
pub struct RunsPage {
    /// The surroundings.
    pub shell: Shell,
    /// The choices of the filter by state; the first shows all.
    pub states: Vec<Choice>,
    /// What else narrows the list: `target` and `schedule`, each as a removable chip.
    pub narrowed: Vec<Narrowed>,
    /// The runs.
    pub runs: Vec<RunLine>,
    /// The next page.
    pub older: Option<String>,
    /// The first page, where this is not it.
    pub newest: Option<String>,
    /// Something narrows the list: an empty one then says so.
    pub filtered: bool,
}

/// A filter in force that came with a link.
#[derive(Clone, Debug)]
pub struct Narrowed {
    /// The field's name in the URL.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it means.
    pub label: String,
}

/// One run.
#[derive(Template, Clone, Debug)]
#[template(path = "runs/show.html", blocks = ["live"])]
pub struct RunPage {
    /// The surroundings.
    pub shell: Shell,
    /// Its id.
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
    /// The run it repeats.
    pub retry_of: Option<Link>,
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
    /// When it ended.
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
    /// The reader may repeat what failed.
    pub can_retry: bool,
}

/// One step of a run.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// Wave, from 1; 0 for what the plan skips.
    pub wave: i64,
    /// Opens a new wave.
    pub opens_wave: bool,
    /// The container.
    pub container: String,
    /// Its page.
    pub href: String,
    /// What is done to it.
    pub action: &'static str,
    /// Where it stands.
    pub state: Badge,
    /// What it waits or waited for.
    pub waits: String,
    /// When it was sent to Docker.
    pub issued: Option<When>,
    /// How long it took.
    pub duration: String,
    /// Its exit code, explained.
    pub exit: String,
    /// Why it stands there, or what went wrong.
    pub note: String,
    /// The last lines of its log; for operators.
    pub output: Option<String>,
}

impl StepRow {
    fn new(step: &Step, opens_wave: bool, now: &Now) -> Self {
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
            note: step.error.clone().unwrap_or_else(|| step.reason.clone()),
            output: step.output.clone(),
        }
    }
}

impl RunPage {
    /// A run as a page.
    pub fn new(shell: Shell, detail: &RunDetail, now: &Now) -> Self {
        let RunDetail { run, steps } = detail;
        let open = !run.state.is_terminal();
        let operates = shell.can_operate();
        let counted = || steps.iter().filter(|step| step.wave > 0);
        let done = (counted().filter(|step| step.state.is_terminal()).count(), counted().count());
        let mut last_wave = None;
        let rows = steps
            .iter()
            .map(|step| {
                let opens = last_wave.replace(step.wave) != Some(step.wave);
                StepRow::new(step, opens, now)
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
            reason: run.reason.clone(),
            why: run.why.clone(),
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
            can_retry: operates && run.state.needs_attention(),
            shell,
        }
    }
}

/// What the list of runs can be narrowed by, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Wanted {
    /// `attention`, or a state's word.
    state: String,
    /// `stack/KEY` or `container/KEY`.
    target: String,
    /// A schedule's id.
    schedule: String,
    /// Where the page before ended.
    cursor: String,
}

/// The states the list offers; the first shows all.
const STATES: [(&str, &str); 6] = [
    ("", "All"),
    ("attention", "Failed"),
    ("succeeded", "Succeeded"),
    ("skipped", "Skipped"),
    ("missed", "Missed"),
    ("executing", "Running now"),
];

impl Wanted {
    fn filter(&self, app: &App) -> Result<RunFilter> {
        Ok(RunFilter {
            target: super::target_of(app, &self.target)?,
            schedule: (!self.schedule.is_empty()).then(|| ScheduleId::from(self.schedule.as_str())),
            state: RunState::parse(&self.state),
            attention: self.state == "attention",
        })
    }

    /// The same list from `cursor` on.
    fn href(&self, cursor: &str) -> String {
        let fields = [
            ("state", &*self.state),
            ("target", &self.target),
            ("schedule", &self.schedule),
            ("cursor", cursor),
        ];
        let filled = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>();
        format!("/runs?{}", serde_urlencoded::to_string(filled).unwrap_or_default())
    }
}

async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Query(wanted): Query<Wanted>,
    shell: Shell,
) -> Result<Response> {
    let page = Page::parse(None, Some(&wanted.cursor))?;
    let listed = history::list(&web.app, &caller.actor, &wanted.filter(&web.app)?, &page).await?;
    let now = super::now(&web, &shell);
    let mut narrowed = Vec::new();
    if !wanted.target.is_empty() {
        let label = listed
            .items
            .first()
            .map_or_else(|| "One target".to_owned(), |run| view::shown_name(&run.target_name));
        narrowed.push(Narrowed { name: "target", value: wanted.target.clone(), label });
    }
    if !wanted.schedule.is_empty() {
        let name = listed.items.first().and_then(|run| run.schedule_name.clone());
        let label = name.map_or_else(|| "One schedule".to_owned(), |name| view::shown_name(&name));
        narrowed.push(Narrowed { name: "schedule", value: wanted.schedule.clone(), label });
    }
    let page = RunsPage {
        states: STATES
            .iter()
            .map(|(value, label)| Choice {
                value: (*value).to_owned(),
                label: (*label).to_owned(),
                chosen: *value == wanted.state,
            })
            .collect(),
        filtered: !narrowed.is_empty() || !wanted.state.is_empty(),
        narrowed,
        runs: listed.items.iter().map(|run| RunLine::new(run, &now)).collect(),
        older: listed.next_cursor.as_deref().map(|cursor| wanted.href(cursor)),
        newest: (!wanted.cursor.is_empty()).then(|| wanted.href("")),
        shell,
    };
    super::part(&htmx, &page, &page.as_rows())
}

async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Response> {
    let detail = history::get(&web.app, &caller.actor, &RunId(id)).await?;
    let now = super::now(&web, &shell);
    let page = RunPage::new(shell, &detail, &now);
    super::part(&htmx, &page, &page.as_live())
}

async fn cancel(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Response> {
    let id = RunId(id);
    execute::cancel(&web.app, &caller.actor, &id).await?;
    notes
        .leave(Flash::new(
            "info",
            "It is called off; a step that was sent to Docker already is finished first.",
        ))
        .await;
    Ok(super::go(&web, &htmx, &format!("/runs/{id}")))
}

async fn retry(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Response> {
    let submitted = execute::retry(&web.app, &caller.actor, &RunId(id)).await?;
    Ok(super::actions::to_run(&web, &htmx, &notes, &submitted).await)
}

impl Sampled for RunsPage {
    fn samples() -> Vec<Self> {
        let choice = |value: &str, label: &str, chosen| Choice {
            value: value.to_owned(),
            label: label.to_owned(),
            chosen,
        };
        let page = Self {
            shell: Shell { here: "runs", ..Shell::sample() },
            states: vec![
                choice("", "All", true),
                choice("attention", "Failed", false),
                choice("skipped", "Skipped", false),
            ],
            narrowed: vec![],
            runs: RunLine::samples(),
            older: Some("/runs?cursor=0199c1d2-0000-7000-8000-000000000000".to_owned()),
            newest: None,
            filtered: false,
        };
        vec![
            Self { runs: vec![], older: None, ..page.clone() },
            Self {
                runs: vec![],
                older: None,
                filtered: true,
                newest: Some("/runs".to_owned()),
                narrowed: vec![Narrowed {
                    name: "target",
                    value: "stack/x".to_owned(),
                    label: "media".to_owned(),
                }],
                ..page.clone()
            },
            page,
        ]
    }
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
        can_retry: false,
        ..run
    }
}

impl Sampled for RunPage {
    fn samples() -> Vec<Self> {
        let now = Now::sample();
        let step = |wave, opens_wave, container: &str, state: StepState| StepRow {
            wave,
            opens_wave,
            container: container.to_owned(),
            href: "/containers/0123456789abcdef".to_owned(),
            action: "Start",
            state: state.into(),
            waits: String::new(),
            issued: Some(now.plus(-30)),
            duration: "3.1 s".to_owned(),
            exit: String::new(),
            note: String::new(),
            output: None,
        };
        let failed = Self {
            shell: Shell { here: "runs", ..Shell::sample() },
            id: "0199c1d2-0000-7000-8000-000000000000".to_owned(),
            title: "Start media".to_owned(),
            state: RunState::Partial.into(),
            target: Link::new("/stacks/0123456789abcdef", "media"),
            cause: "by schedule Mornings".to_owned(),
            schedule: Some(Link::new("/schedules/1", "Mornings")),
            retry_of: None,
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
                step(1, true, "media-db-1", StepState::Succeeded),
                StepRow {
                    waits: "media-db-1 to be healthy".to_owned(),
                    exit: view::exit_code(127),
                    note: "it ended 0.3 s after it was started".to_owned(),
                    output: Some("exec: \"serve\": executable file not found in $PATH".to_owned()),
                    ..step(2, true, "media-web-1", StepState::Failed)
                },
                StepRow {
                    issued: None,
                    duration: String::new(),
                    note: "media-web-1 failed, and this one needs it".to_owned(),
                    ..step(3, true, "media-indexer-1", StepState::Skipped)
                },
                StepRow {
                    issued: None,
                    duration: String::new(),
                    note: "a one-shot that has done its work".to_owned(),
                    ..step(0, true, "media-migrate-1", StepState::Skipped)
                },
            ],
            can_cancel: false,
            can_retry: true,
        };
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
                can_retry: false,
                steps: vec![
                    step(1, true, "media-db-1", StepState::Succeeded),
                    step(2, true, "media-web-1", StepState::Issued),
                    StepRow {
                        issued: None,
                        duration: String::new(),
                        ..step(3, true, "media-indexer-1", StepState::Pending)
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
                can_retry: false,
                ..failed.clone()
            },
            failed,
        ]
    }
}
