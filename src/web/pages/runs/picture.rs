//! Pictures of runs: how long they took, how they ended day by day, what happened when within one.
//!
//! A picture is finished path data; the template adds the title that says the same.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::app::history::Past;
use crate::domain::ids::RunId;
use crate::domain::run::{Condition, Run, RunState, Step, StepState};
use crate::web::view::{self, Badge, Now};

/// The durations of the last runs, a bar each, the newest on the right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spark {
    /// Path data of all bars but one.
    pub bars: String,
    /// Of the run that is looked at.
    pub this: String,
    /// What it shows, in words.
    pub title: String,
}

impl Spark {
    /// Width of the picture: 30 bars of 4.
    const BARS: usize = crate::app::history::COMPARED as usize;
    /// The highest bar.
    const HIGH: i64 = 22;

    /// A picture of a past; `None` where there is too little to compare with.
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

/// One of the five ways a run can have ended, as a day's bar is made of them.
pub const GROUPS: [(Badge, &[RunState]); 5] = [
    (Badge::of_run(RunState::Succeeded), &[RunState::Succeeded]),
    (Badge::of_run(RunState::Partial), &[RunState::Partial]),
    (Badge::of_run(RunState::Failed), &[RunState::Failed, RunState::Interrupted]),
    (Badge::of_run(RunState::Missed), &[RunState::Missed]),
    (Badge::of_run(RunState::Skipped), &[RunState::Skipped, RunState::Superseded, RunState::Cancelled]),
];

/// How the runs of the last days ended.
#[derive(Clone, Debug)]
pub struct Ribbon {
    /// What it shows, in words.
    pub title: String,
    /// State and path data.
    pub paths: Vec<(&'static str, String)>,
    /// How many ended how.
    pub totals: Vec<(Badge, i64)>,
    /// The days on which something ended, the newest first.
    pub days: Vec<RibbonDay>,
}

/// One day of it.
#[derive(Clone, Debug)]
pub struct RibbonDay {
    /// `Today`, `Wednesday 25 November 2026`.
    pub title: String,
    /// `2026-11-25`
    pub date: String,
    /// How many ended how, in the order of [`GROUPS`].
    pub counts: [i64; GROUPS.len()],
}

impl Ribbon {
    /// The days of the ribbon.
    pub const DAYS: u16 = 30;
    /// The highest bar.
    const HIGH: i64 = 44;

    /// A ribbon of counts between the instants of `edges`; `None` where nothing ended.
    pub fn new(edges: &[Timestamp], outcomes: &[(usize, RunState, i64)], now: &Now) -> Option<Self> {
        let mut days = vec![[0_i64; GROUPS.len()]; edges.len().saturating_sub(1)];
        for (day, state, count) in outcomes {
            let group = GROUPS.iter().position(|(_, states)| states.contains(state));
            if let (Some(day), Some(group)) = (days.get_mut(*day), group) {
                day[group] += count;
            }
        }
        let most = days.iter().map(|day| day.iter().sum::<i64>()).max().filter(|most| *most > 0)?;
        let mut paths: Vec<(&'static str, String)> =
            GROUPS.iter().map(|(badge, _)| (badge.class, String::new())).collect();
        for (at, day) in days.iter().enumerate() {
            let mut low = Self::HIGH;
            for (group, count) in day.iter().enumerate().filter(|(_, count)| **count > 0) {
                // The smallest share can still be seen, and never leaves the picture.
                let high = (count * (Self::HIGH - 8) / most).max(2);
                let _ = write!(paths[group].1, "M{} {low}v-{high}", 12 * at + 6);
                low = (low - high).max(2);
            }
        }
        paths.retain(|(_, path)| !path.is_empty());
        let totals: Vec<(Badge, i64)> = GROUPS
            .iter()
            .enumerate()
            .map(|(group, (badge, _))| (*badge, days.iter().map(|day| day[group]).sum()))
            .filter(|(_, count)| *count > 0)
            .collect();
        let told: Vec<String> =
            totals.iter().map(|(badge, count)| format!("{count} {}", badge.word.to_lowercase())).collect();
        Some(Self {
            title: format!("Runs of the last {} days: {}", days.len(), told.join(", ")),
            paths,
            totals,
            days: days
                .iter()
                .zip(edges)
                .rev()
                .filter(|(day, _)| day.iter().any(|count| *count > 0))
                .map(|(counts, begins)| RibbonDay {
                    title: now.day(*begins),
                    date: begins.to_zoned(now.zone.clone()).date().to_string(),
                    counts: *counts,
                })
                .collect(),
        })
    }
}

/// What happened to one container when, along the time its run took. Lengths are thousandths of that time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// What it shows, in words: `sent after 0.2 s, down after 11 s`.
    pub title: String,
    /// From the run's beginning until it was sent to Docker.
    pub sent: i64,
    /// How long it took from then on.
    pub took: i64,
    /// Until when it was healthy, as those that waited for it tell.
    pub healthy: Option<i64>,
}

/// The whole that the bars of a run are parts of.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    begin: Timestamp,
    end: Timestamp,
}

impl Span {
    /// From a run's beginning to its end, or to now; `None` before it began.
    pub fn of(run: &Run, now: Timestamp) -> Option<Self> {
        let begin = run.started_at?;
        Some(Self { begin, end: run.finished_at.unwrap_or(now).max(begin) })
    }

    /// How long it is, in words.
    pub fn length(&self) -> String {
        view::duration(self.after(self.end))
    }

    fn after(&self, at: Timestamp) -> i64 {
        (at.as_millisecond() - self.begin.as_millisecond()).max(0)
    }

    fn place(&self, at: Timestamp) -> i64 {
        (self.after(at) * 1000 / self.after(self.end).max(1)).min(1000)
    }

    /// The bar of a step among all of its run; `None` where nothing was sent.
    pub fn bar(&self, step: &Step, all: &[Step]) -> Option<Bar> {
        use crate::domain::action::Action;
        let issued = step.issued_at?;
        let healthy = all
            .iter()
            .filter(|other| {
                other.wait_for.iter().any(|wait| {
                    wait.condition == Condition::ServiceHealthy && wait.container == step.container
                })
            })
            .filter_map(|other| other.issued_at)
            .min();
        let ended = match (step.state, step.action) {
            (StepState::Failed, _) => "failed",
            (StepState::Interrupted, _) => "cut off",
            (_, Action::Stop) => "down",
            (_, Action::Pause) => "frozen",
            (_, Action::Start | Action::Restart | Action::Unpause) => "up",
        };
        let told = |at: Timestamp| view::duration(self.after(at));
        let mut title = format!("sent after {}", told(issued));
        match step.finished_at {
            Some(at) => {
                let _ = write!(title, ", {ended} after {}", told(at));
            }
            None => title.push_str(", under way"),
        }
        if let Some(at) = healthy {
            let _ = write!(title, ", healthy within {}", told(at));
        }
        let sent = self.place(issued);
        Some(Bar {
            title,
            sent,
            // What took no time to speak of can still be seen.
            took: (self.place(step.finished_at.unwrap_or(self.end)) - sent).max(6),
            healthy: healthy.map(|at| self.place(at)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let ribbon = Ribbon::new(&edges, &outcomes, &now).expect("runs ended");
        let size: usize = ribbon.paths.iter().map(|(_, path)| path.len()).sum();
        assert!(size < 1_800, "{size}");
        assert_eq!((ribbon.days.len(), ribbon.days[0].title.as_str()), (30, "Today"));
        assert_eq!(ribbon.totals.len(), 5);
        assert!(Ribbon::new(&edges, &[], &now).is_none());
        assert!(Ribbon::new(&edges, &[(0, RunState::Executing, 3)], &now).is_none(), "nothing has ended");
    }
}
