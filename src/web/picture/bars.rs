//! A bar chart of runs: the duration and the outcome of each.

use crate::domain::run::{Run, RunState};
use crate::web::view::{self, Badge, Now};

/// The maximum height of a bar, in units of the drawing.
const HIGHEST: i64 = 36;
/// The distance between two bars, in units of the drawing.
const STEP: usize = 6;

/// The bar of one run; lengths are in units of the drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    pub href: String,
    /// The action, the outcome and the duration in words.
    pub title: String,
    /// The outcome.
    pub state: Badge,
    /// The left edge.
    pub x: usize,
    /// The upper edge.
    pub y: i64,
    /// The height.
    pub height: i64,
    /// Whether the run needs attention; the bar then has a mark on top, for readers who cannot see the colour.
    pub bad: bool,
}

/// The bars of runs, from the oldest to the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bars {
    pub bars: Vec<Bar>,
    /// The width of the drawing.
    pub width: usize,
    /// The drawing in words.
    pub title: String,
}

impl Bars {
    /// The maximum number of runs shown.
    pub const SHOWN: usize = 60;

    /// The bars of `runs`, which are sorted newest first.
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
                // A square root scale, so that one long run does not flatten all other bars.
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
