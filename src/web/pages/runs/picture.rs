//! Charts of runs: their durations, how they ended day by day, and the time range of one run.
//!
//! A chart consists of SVG path data and positions. The template adds the title, which has the same content in words.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::app::history::Past;
use crate::domain::ids::RunId;
use crate::domain::run::{Run, RunState};
use crate::web::view::{self, Badge};

/// A bar for the duration of each of the last runs, the newest on the right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spark {
    /// Path data of all bars except the one in `this`.
    pub bars: String,
    /// Path data of the bar for the run on the page. Empty if that run is not among them.
    pub this: String,
    /// The content of the chart in words.
    pub title: String,
}

impl Spark {
    /// The number of bars. Each bar takes 4 units of width.
    const BARS: usize = crate::app::history::COMPARED as usize;
    /// The height of the highest bar, in units of the SVG.
    const HIGH: i64 = 22;

    /// The chart of past durations, with `run` in a bar of its own. `None` if there are fewer than two durations.
    pub fn new(past: Option<&Past>, run: &RunId) -> Option<Self> {
        let past = past?;
        let longest = past.took.iter().map(|(_, took)| *took).max().filter(|_| past.took.len() > 1)?;
        let shortest = past.took.iter().map(|(_, took)| *took).min()?;
        let mut spark = Self {
            title: format!(
                "The last {} took {} to {}",
                view::count(past.took.len(), "run"),
                view::duration(shortest),
                view::duration(longest)
            ),
            ..Self::default()
        };
        let first = Self::BARS.saturating_sub(past.took.len());
        for (at, (id, took)) in past.took.iter().enumerate().take(Self::BARS) {
            let high = (took * Self::HIGH / longest.max(1)).max(1);
            let to = if id == run { &mut spark.this } else { &mut spark.bars };
            let _ = write!(to, "M{} 24v-{high}", 4 * (first + at) + 2);
        }
        Some(spark)
    }
}

/// The five ways in which a run can end, in the order in which they are stacked in the bar of a day.
pub const GROUPS: [(Badge, &[RunState]); 5] = [
    (Badge::of_run(RunState::Succeeded), &[RunState::Succeeded]),
    (Badge::of_run(RunState::Partial), &[RunState::Partial]),
    (Badge::of_run(RunState::Failed), &[RunState::Failed, RunState::Interrupted]),
    (Badge::of_run(RunState::Missed), &[RunState::Missed]),
    (Badge::of_run(RunState::Skipped), &[RunState::Skipped, RunState::Superseded, RunState::Cancelled]),
];

/// The number of runs per day and per way in which they ended.
#[derive(Clone, Debug)]
pub struct Ribbon {
    /// For each day its first instant and the counts in the order of [`GROUPS`]. The newest day is last.
    days: Vec<(Timestamp, [i64; GROUPS.len()])>,
    /// The largest total of a day. At least 1.
    most: i64,
}

impl Ribbon {
    /// The number of days in the chart.
    pub const DAYS: u16 = 30;
    /// The height of the chart, in units of the SVG.
    const HIGH: i64 = 44;

    /// Builds the chart from counts. `edges` holds the bounds of the days, and the first number of an outcome is the
    /// index of its day. `None` if no run ended in these days.
    pub fn new(edges: &[Timestamp], outcomes: &[(usize, RunState, i64)]) -> Option<Self> {
        let mut days: Vec<_> = edges.iter().map(|begins| (*begins, [0_i64; GROUPS.len()])).collect();
        days.pop();
        for (day, state, count) in outcomes {
            let group = GROUPS.iter().position(|(_, states)| states.contains(state));
            if let (Some((_, counts)), Some(group)) = (days.get_mut(*day), group) {
                counts[group] += count;
            }
        }
        let most = days.iter().map(|(_, counts)| counts.iter().sum()).max().filter(|most| *most > 0)?;
        Some(Self { days, most })
    }

    /// The number of days.
    pub fn length(&self) -> usize {
        self.days.len()
    }

    /// The totals of all days, in the order of [`GROUPS`].
    pub fn totals(&self) -> Vec<(Badge, i64)> {
        let total = |group: usize| self.days.iter().map(|(_, counts)| counts[group]).sum();
        let all = GROUPS.iter().enumerate().map(|(group, (badge, _))| (*badge, total(group)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// The days on which at least one run ended, the newest first.
    pub fn busy(&self) -> impl Iterator<Item = &(Timestamp, [i64; GROUPS.len()])> {
        self.days.iter().rev().filter(|(_, counts)| counts.iter().any(|count| *count > 0))
    }

    /// For each group the CSS class of its state and the path data of its bars.
    pub fn paths(&self) -> Vec<(&'static str, String)> {
        let mut paths = GROUPS.map(|(badge, _)| (badge.class, String::new()));
        for (at, (_, counts)) in self.days.iter().enumerate() {
            let mut low = Self::HIGH;
            for (group, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                // Even the smallest bar must be visible, and no bar may leave the chart.
                let high = (count * (Self::HIGH - 8) / self.most).max(2);
                let _ = write!(paths[group].1, "M{} {low}v-{high}", 12 * at + 6);
                low = (low - high).max(2);
            }
        }
        paths.into_iter().filter(|(_, path)| !path.is_empty()).collect()
    }
}

/// The time range of a run. The bars of its steps are drawn as parts of it.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    begin: Timestamp,
    pub end: Timestamp,
}

impl Span {
    /// The range from the start of a run to its end, or to `now` if it has not ended. `None` before the run started.
    pub fn of(run: &Run, now: Timestamp) -> Option<Self> {
        let begin = run.started_at?;
        Some(Self { begin, end: run.finished_at.unwrap_or(now).max(begin) })
    }

    /// Milliseconds from the start to `at`; 0 if `at` is before the start.
    pub fn after(&self, at: Timestamp) -> i64 {
        (at.as_millisecond() - self.begin.as_millisecond()).max(0)
    }

    /// The position of an instant within the range, in thousandths from 0 to 1000.
    pub fn place(&self, at: Timestamp) -> i64 {
        (self.after(at) * 1000 / self.after(self.end).max(1)).min(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::Now;

    fn past(took: impl IntoIterator<Item = i64>) -> Past {
        Past {
            took: took.into_iter().enumerate().map(|(n, took)| (RunId(format!("{n:03}")), took)).collect(),
        }
    }

    #[test]
    fn a_spark_is_small_and_shows_this_run_apart() {
        let spark = Spark::new(Some(&past((1..=30).map(|n| n * 1000))), &RunId::from("029"))
            .expect("there is a past");
        assert_eq!(spark.this, "M118 24v-22");
        assert_eq!(spark.bars.matches('M').count(), 29);
        assert!(spark.bars.len() + spark.this.len() < 500);
        assert_eq!(spark.title, "The last 30 runs took 1.0 s to 30 s");
        assert_eq!(Spark::new(Some(&past([1000])), &RunId::from("000")), None, "nothing to compare with");
        assert!(Spark::new(Some(&past([0, 0])), &RunId::from("000")).is_some());
    }

    #[test]
    fn a_ribbon_stays_within_its_picture_and_its_size() {
        let now = Now::sample();
        let edges = crate::domain::time::days_to(now.at, &now.zone, Ribbon::DAYS);
        let outcomes: Vec<_> = (0..30)
            .flat_map(|day| {
                RunState::ALL.iter().map(move |state| (day, *state, 1 + i64::try_from(day).unwrap_or(0)))
            })
            .collect();
        let ribbon = Ribbon::new(&edges, &outcomes).expect("runs ended");
        let size: usize = ribbon.paths().iter().map(|(_, path)| path.len()).sum();
        assert!(size < 1_800, "{size}");
        let newest = ribbon.busy().next().expect("a day");
        assert_eq!((ribbon.length(), ribbon.busy().count(), now.day(newest.0).as_str()), (30, 30, "Today"));
        assert_eq!(ribbon.totals().len(), 5);
        assert!(Ribbon::new(&edges, &[]).is_none());
        assert!(Ribbon::new(&edges, &[(0, RunState::Executing, 3)]).is_none(), "nothing has ended");
    }
}
