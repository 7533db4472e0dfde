//! `/dev/components`: each part of the pages in each of its states, in debug builds alone. What is ugly there is ugly
//! everywhere.

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use crate::app::{FieldError, Result};
use crate::domain::run::{RunState, StepState};
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Shell};
use crate::web::view::{Badge, Now, Sampled, When};
use crate::web::{Web, assets};

pub(super) fn routes() -> Routes {
    Routes::new().get("/dev/components", Access::VIEWER, show)
}

/// The parts.
#[derive(Template, Clone, Debug)]
#[template(path = "dev/components.html")]
pub struct Gallery {
    pub shell: Shell,
    /// The words for states, in groups with a title.
    pub states: Vec<(&'static str, Vec<Badge>)>,
    /// A message of each tone.
    pub tones: Vec<Flash>,
    /// Faults of a form.
    pub errors: Vec<FieldError>,
    /// An instant.
    pub now: When,
    /// Every symbol of the sprite.
    pub icons: Vec<String>,
}

impl Gallery {
    /// All parts there are.
    pub fn new(shell: Shell, now: &Now) -> Self {
        let tones = [
            ("good", "It is saved."),
            ("info", "It sleeps in 4 minutes."),
            ("warn", "Its schedule says on, it is off."),
            ("bad", "It could not be stopped; its page says why."),
        ];
        Self {
            shell,
            states: states(),
            tones: tones.into_iter().map(|(tone, text)| Flash::new(tone, text)).collect(),
            errors: vec![FieldError::new("wrong", "use a minute from 0 to 59")],
            now: now.plus(4 * 3600),
            icons: assets::icons(),
        }
    }
}

fn states() -> Vec<(&'static str, Vec<Badge>)> {
    let runs = [
        RunState::Pending,
        RunState::Executing,
        RunState::Succeeded,
        RunState::Failed,
        RunState::Partial,
        RunState::Skipped,
        RunState::Missed,
        RunState::Superseded,
        RunState::Cancelled,
        RunState::Interrupted,
    ];
    let steps = [
        StepState::Pending,
        StepState::Issued,
        StepState::Succeeded,
        StepState::Failed,
        StepState::Skipped,
        StepState::Interrupted,
    ];
    vec![
        (
            "Stacks and containers",
            vec![
                Badge::RUNNING,
                Badge::NAPPING,
                Badge::PAUSED,
                Badge::STOPPED,
                Badge::PARTIAL,
                Badge::STARTING,
                Badge::UNHEALTHY,
                Badge::LOOPING,
                Badge::DRIFTED,
                Badge::UNREACHABLE,
                Badge::PROTECTED,
                Badge::COMPLETED,
                Badge::GONE,
            ],
        ),
        ("What is wanted", vec![Badge::ASLEEP, Badge::AWAKE, Badge::HELD, Badge::LEFT_ALONE]),
        ("Runs", runs.into_iter().map(Badge::from).collect()),
        ("Steps", steps.into_iter().map(Badge::from).collect()),
    ]
}

impl Sampled for Gallery {
    fn samples() -> Vec<Self> {
        vec![Self::new(Shell::sample(), &Now::sample())]
    }
}

async fn show(State(web): State<Web>, shell: Shell) -> Result<Html<String>> {
    let now = super::now(&web, &shell);
    super::html(&Gallery::new(shell, &now))
}
