//! Runs as bars: how long each took, and how it ended.

use crate::domain::run::{Run, RunState};
use crate::web::view::{self, Badge, Now};

/// The height of the longest.
const HIGHEST: i64 = 36;
/// From one bar to the next.
const STEP: usize = 6;

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    pub href: String,
    /// What it was, how it ended and how long it took.
    pub title: String,
    /// How it ended.
    pub state: Badge,
    /// Where it stands.
    pub x: usize,
    /// Its upper edge.
    pub y: i64,
    /// How high it is.
    pub height: i64,
    /// It needs somebody: a mark on top tells so without colour.
    pub bad: bool,
}

/// Runs from the oldest to the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bars {
    /// The runs.
    pub bars: Vec<Bar>,
    /// The width of all.
    pub width: usize,
    /// The same in words.
    pub title: String,
}

impl Bars {
    /// How many are shown.
    pub const SHOWN: usize = 60;

    /// Runs that are given newest first.
    pub fn new(runs: &[Run], now: &Now) -> Self {
        let shown = &runs[..runs.len().min(Self::SHOWN)];
        let longest = shown.iter().filter_map(Run::duration_ms).max().unwrap_or(0).max(1);
        let bars: Vec<Bar> = shown
            .iter()
            .rev()
            .enumerate()
            .map(|(number, run)| {
                let badge = Badge::from(run.state);
                let took = run.duration_ms().unwrap_or(0);
                // The root: a stop of a minute does not make all others a line on the ground.
                let height = (4 + isqrt(took * (HIGHEST - 4) * (HIGHEST - 4) / longest)).clamp(4, HIGHEST);
                let when = now.when(run.finished_at.unwrap_or(run.created_at));
                let took = run.duration_ms().map(|ms| format!(", {}", view::duration(ms)));
                Bar {
                    href: format!("/runs/{}", run.id),
                    title: format!(
                        "{}, {}: {}{}",
                        run.action.label(),
                        when.short,
                        badge.word.to_lowercase(),
                        took.unwrap_or_default()
                    ),
                    state: badge,
                    x: number * STEP,
                    y: HIGHEST + 6 - height,
                    height,
                    bad: run.state.needs_attention(),
                }
            })
            .collect();
        let failed = shown.iter().filter(|run| run.state.needs_attention()).count();
        let done = shown.iter().filter(|run| run.state == RunState::Succeeded).count();
        Self {
            width: (shown.len() * STEP).max(STEP * 20),
            title: format!("{}: {done} succeeded, {failed} failed", view::count(shown.len(), "run")),
            bars,
        }
    }
}

fn isqrt(number: i64) -> i64 {
    u64::try_from(number).map_or(0, |number| i64::try_from(number.isqrt()).unwrap_or(0))
}
