//! The page of one run: its result, what went wrong, and the duration of each step beside the usual duration.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use jiff::Timestamp;

use super::picture::{Span, Spark};
use super::words;
use crate::app::history::{self, Past, RunDetail};
use crate::app::{Error, Result, schedules};
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::pace::Pace;
use crate::domain::run::{Condition, Run, RunState, Step, StepState, Trigger};
use crate::domain::text::capital;
use crate::web::filters;
use crate::web::page::Page;
use crate::web::pages::actions::Act;
use crate::web::shell::Shell;
use crate::web::view;

/// The page of one run.
#[derive(Template)]
#[template(path = "runs/show.html", blocks = ["live"])]
struct RunPage<'a> {
    shell: &'a Shell,
    run: &'a Run,
    steps: &'a [Step],
    /// Earlier runs of the same action on the same target, for comparison. `None` if there are none.
    past: Option<&'a Past>,
    /// Whether the run's schedule still exists.
    has_schedule: bool,
    /// Whether the run's target still exists.
    has_target: bool,
    trouble: Option<Trouble>,
}

impl RunPage<'_> {
    /// The number of steps that have ended, and the number of planned steps.
    fn progress(&self) -> (usize, usize) {
        let planned = || self.steps.iter().filter(|step| step.wave > 0);
        (planned().filter(|step| step.state.is_terminal()).count(), planned().count())
    }

    /// The time range of the run, in which the bars of the steps are drawn.
    fn span(&self) -> Option<Span> {
        Span::of(self.run, self.shell.now.at)
    }

    /// The instant at which the step's container was healthy: the earliest instant at which a step that waited for its
    /// health began. `None` if no step waited for that.
    fn healthy_at(&self, step: &Step) -> Option<Timestamp> {
        let waited = |other: &&Step| {
            let mut waits = other.wait_for.iter();
            waits.any(|wait| wait.condition == Condition::ServiceHealthy && wait.container == step.container)
        };
        self.steps.iter().filter(waited).filter_map(|other| other.issued_at).min()
    }

    /// The word for the result of a step that has ended.
    fn ended(&self, step: &Step) -> &'static str {
        match (step.state, step.action) {
            (StepState::Failed, _) => "failed",
            (StepState::Interrupted, _) => "cut off",
            (_, Action::Stop) => "down",
            (_, Action::Pause) => "frozen",
            (_, Action::Start | Action::Restart | Action::Unpause) => "up",
        }
    }

    /// Whether the step with this index is the first of its wave.
    fn opens_wave(&self, at: usize) -> bool {
        at == 0 || self.steps[at - 1].wave != self.steps[at].wave
    }

    fn pace(&self) -> Option<Pace> {
        Pace::of(self.past?.took.iter().map(|(_, took)| *took))
    }
}

/// What went wrong first in a run.
struct Trouble {
    /// The heading, as in `1 of 3 steps failed`.
    title: String,
    /// The meaning of the error and what to do about it.
    text: String,
    /// Docker's own error message. `None` if `text` already contains it.
    raw: Option<String>,
}

impl Trouble {
    fn of(RunDetail { run, steps }: &RunDetail, shell: &Shell) -> Option<Self> {
        if !run.state.needs_attention() {
            return None;
        }
        let planned = steps.iter().filter(|step| step.wave > 0).count();
        let title = match (run.state, steps.iter().filter(|step| step.is_bad()).count()) {
            (RunState::Interrupted, _) => "It was cut off half-way".to_owned(),
            (_, 0) => "Not all of it was done".to_owned(),
            (_, failed) => format!("{failed} of {} failed", view::count(planned, "step")),
        };
        let Some(step) = steps.iter().find(|step| step.is_bad()) else {
            return Some(Self { title, text: capital(&words::reason(&run.reason, &shell.now)), raw: None });
        };
        let error = step.error.as_deref().unwrap_or("it failed");
        let plain = words::plain(error);
        Some(Self {
            title,
            text: format!("{}: {}", view::shown_name(&step.container), plain.unwrap_or(error)),
            raw: plain.map(|_| error.to_owned()),
        })
    }
}

pub(super) async fn show(page: Page, Path(id): Path<String>) -> Result<Response> {
    let (app, actor, shell) = (&page.app, &page.actor, &page.shell);
    let detail = history::get(app, actor, &RunId(id)).await?;
    let run = &detail.run;
    let pasts = history::pasts(app, actor, std::slice::from_ref(run)).await?;
    let has_schedule = match &run.schedule_id {
        None => false,
        Some(id) => match schedules::get(app, actor, id).await {
            Ok(_) => true,
            Err(Error::NotFound { .. }) => false,
            Err(other) => return Err(other),
        },
    };
    let whole = RunPage {
        shell,
        run,
        steps: &detail.steps,
        past: pasts.get(&(run.target.clone(), run.action)),
        has_schedule,
        has_target: history::is_present(app, &run.target),
        trouble: Trouble::of(&detail, shell),
    };
    page.render_live(&whole, &whole.as_live())
}
