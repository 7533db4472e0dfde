//! Guards, which may delay a stop, a pause or the sleep of a window: for a target that came up only recently, and for
//! one that is busy (rulings 7).
//!
//! Pure functions: the runner measures the containers and calls them for the decision. Every wait has an end.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::words::words;

/// Time between two checks of a busy target (rulings 7).
pub const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);
/// Largest minimum uptime, in minutes: one day.
pub const MAX_UPTIME: i64 = 24 * 60;
/// Largest CPU limit, in percent of one core: 64 cores.
pub const MAX_CPU: i64 = 64 * 100;
/// Shortest and longest wait for a busy target, in minutes.
pub const BUSY_WAIT: (i64, i64) = (5, 12 * 60);
/// Default wait for a busy target, in minutes.
pub const USUAL_BUSY_WAIT: i64 = 30;

words! {
    /// What happens when a target is still busy at the end of the wait.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Then {
        /// The target is put to sleep anyway.
        #[default]
        Go,
        /// The target stays awake this time.
        Skip,
    }
}

/// The conditions under which a schedule is deferred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Guard {
    /// The minimum uptime of the target, in minutes.
    #[schema(minimum = 1, maximum = 1440)]
    pub min_uptime_minutes: Option<i64>,
    /// The CPU load above which a container is busy, in percent of one core.
    #[schema(minimum = 1, maximum = 6400)]
    pub busy_cpu_percent: Option<i64>,
    /// How long to wait for a busy target, in minutes.
    #[schema(minimum = 5, maximum = 720)]
    pub busy_wait_minutes: Option<i64>,
    /// What happens when the target is still busy at the end of the wait.
    pub then: Then,
}

/// CPU load of one container at one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Container name.
    pub container: String,
    /// CPU in percent of one core, or the error of the measurement.
    pub cpu_percent: Result<i64, String>,
}

/// Wait until the next check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// Next check.
    pub look_at: Timestamp,
    /// End of the wait for a busy target, once it was found busy.
    pub busy_until: Option<Timestamp>,
    /// Explanation as shown to people.
    pub reason: String,
}

/// Result of one check of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target is put to sleep; the text is a remark to store, possibly empty.
    Go(String),
    /// The target waits.
    Later(Deferral),
    /// The target stays awake this time, for this reason.
    Skip(String),
}

/// Two readings of the CPU counters of a container and its machine, as `docker stats` takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSample {
    /// CPU time of the container, earlier and later.
    pub used: (u64, u64),
    /// CPU time of the machine, earlier and later, in the same unit.
    pub machine: (u64, u64),
    /// Cores of the machine.
    pub cores: u64,
}

impl CpuSample {
    /// CPU use in percent of one core, rounded, as `docker stats` shows it; `None` if no time passed between the
    /// readings or a counter decreased.
    pub fn percent(&self) -> Option<i64> {
        let used = u128::from(self.used.1.checked_sub(self.used.0)?);
        let machine = u128::from(self.machine.1.checked_sub(self.machine.0).filter(|passed| *passed > 0)?);
        let percent = (used * u128::from(self.cores.max(1)) * 100 + machine / 2) / machine;
        i64::try_from(percent).ok()
    }
}

impl Guard {
    /// Whether guards apply to an action: only to those that put a target to sleep.
    pub fn applies_to(action: Action) -> bool {
        matches!(action, Action::Stop | Action::Pause)
    }

    /// CPU limit in percent of one core, and the longest wait for a busy target; `None` without a limit.
    pub fn busy(&self) -> Option<(i64, Duration)> {
        let wait = self.busy_wait_minutes.unwrap_or(USUAL_BUSY_WAIT);
        Some((self.busy_cpu_percent?, minutes(wait)))
    }

    /// Longest total wait in minutes: for the uptime, and then for a busy target.
    pub fn longest_minutes(&self) -> i64 {
        let busy = self.busy_cpu_percent.map_or(0, |_| self.busy_wait_minutes.unwrap_or(USUAL_BUSY_WAIT));
        self.min_uptime_minutes.unwrap_or(0) + busy
    }

    /// Short form: "may wait up to 40 min".
    pub fn in_short(&self) -> String {
        format!("may wait up to {} min", self.longest_minutes())
    }

    /// Full sentence: "May wait up to 40 min: until it has been up 10 min, then while a container uses more than 20 %
    /// of a core; if one still does, it sleeps all the same."
    pub fn sentence(&self) -> String {
        let mut parts = Vec::new();
        if let Some(uptime) = self.min_uptime_minutes {
            parts.push(format!("until it has been up {uptime} min"));
        }
        if let Some(limit) = self.busy_cpu_percent {
            let then = match self.then {
                Then::Go => "it sleeps all the same",
                Then::Skip => "it stays awake this time",
            };
            let first = if parts.is_empty() { "" } else { "then " };
            parts.push(format!(
                "{first}while a container uses more than {limit}\u{a0}% of a core; if one still does, {then}"
            ));
        }
        format!("May wait up to {} min: {}.", self.longest_minutes(), parts.join(", "))
    }

    /// Wait of a target that has not been up for the minimum uptime; `None` if no wait is needed. `up` holds the
    /// containers that are up, with their starts; `due` is the planned instant of the sleep. The wait ends at `due`
    /// plus the minimum uptime at the latest, even if containers restart meanwhile.
    pub fn young<'a>(
        &self,
        up: impl IntoIterator<Item = (&'a str, Timestamp)>,
        due: Timestamp,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Option<Deferral> {
        let wanted = self.min_uptime_minutes?;
        let (container, since) = up.into_iter().max_by_key(|(_, since)| *since)?;
        let look_at = later(since, minutes(wanted)).min(later(due, minutes(wanted)));
        (look_at > now).then(|| Deferral {
            look_at,
            busy_until: None,
            reason: format!(
                "uptime: {container} is up since {}, and {wanted} min are wanted; waits until {}",
                clock(since, zone),
                clock(look_at, zone)
            ),
        })
    }

    /// Result of a check with these loads. `busy_until` is the end of the wait if an earlier check found the target
    /// busy.
    pub fn judge(
        &self,
        loads: &[Load],
        busy_until: Option<Timestamp>,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Verdict {
        let Some((limit, wait)) = self.busy() else { return Verdict::Go(String::new()) };
        let seen = loads.iter().filter_map(|load| Some((&load.container, *load.cpu_percent.as_ref().ok()?)));
        let Some((container, percent)) =
            seen.filter(|(_, percent)| *percent > limit).max_by_key(|(_, percent)| *percent)
        else {
            return Verdict::Go(unseen(loads));
        };
        let until = busy_until.unwrap_or_else(|| later(now, wait));
        let busy = format!("{container} at {percent}\u{a0}% CPU (limit {limit}\u{a0}%)");
        if now < until {
            let look_at = later(now, LOOK_AGAIN).min(until);
            let end = match self.then {
                Then::Go => "sleeps all the same at",
                Then::Skip => "is left awake at",
            };
            return Verdict::Later(Deferral {
                look_at,
                busy_until: Some(until),
                reason: format!(
                    "busy: {busy}; looks again at {}, {end} {}",
                    clock(look_at, zone),
                    clock(until, zone)
                ),
            });
        }
        let still = format!("busy: still {busy} after {} min", wait.as_secs() / 60);
        match self.then {
            Then::Go => Verdict::Go(still),
            Then::Skip => Verdict::Skip(still),
        }
    }
}

/// Remark about loads that could not be measured and count as not busy; empty if there are none.
fn unseen(loads: &[Load]) -> String {
    let mut unseen =
        loads.iter().filter_map(|load| Some((&load.container, load.cpu_percent.as_ref().err()?)));
    let Some((container, why)) = unseen.next() else { return String::new() };
    let more = match unseen.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("how busy {container}{more} was could not be seen, which counts as not busy: {why}")
}

fn minutes(minutes: i64) -> Duration {
    Duration::from_secs(u64::try_from(minutes).unwrap_or(0) * 60)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Time of day. The date is clear without it, since no wait is longer than a day and a half.
fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2027-03-02T{text}:00Z").parse().expect("an instant")
    }

    fn guard(uptime: Option<i64>, busy: Option<(i64, i64)>, then: Then) -> Guard {
        Guard {
            min_uptime_minutes: uptime,
            busy_cpu_percent: busy.map(|(limit, _)| limit),
            busy_wait_minutes: busy.map(|(_, wait)| wait),
            then,
        }
    }

    fn load(container: &str, percent: i64) -> Load {
        Load { container: container.to_owned(), cpu_percent: Ok(percent) }
    }

    #[test]
    fn percent_is_what_docker_stats_shows() {
        let sample = |used: u64, machine: u64, cores: u64| CpuSample {
            used: (100, 100 + used),
            machine: (1_000, 1_000 + machine),
            cores,
        };
        // Half of one core on a machine with four, over one second.
        assert_eq!(sample(500, 4_000, 4).percent(), Some(50));
        assert_eq!(sample(8_000, 4_000, 4).percent(), Some(800));
        assert_eq!(sample(0, 4_000, 4).percent(), Some(0));
        assert_eq!(sample(1, 400, 2).percent(), Some(1), "rounded");
        assert_eq!(sample(1, 500, 2).percent(), Some(0), "rounded");
        assert_eq!(sample(5, 0, 4).percent(), None, "no time passed");
        let backwards = CpuSample { used: (9, 3), machine: (1, 2), cores: 1 };
        assert_eq!(backwards.percent(), None, "the container was re-created in between");
    }

    #[test]
    fn the_newest_start_counts_and_the_wait_ends_by_itself() {
        let guard = guard(Some(30), None, Then::Go);
        let young = |up: &[(&str, &str)], now| {
            let up: Vec<(&str, Timestamp)> = up.iter().map(|(name, since)| (*name, at(since))).collect();
            guard.young(up, at("23:00"), at(now), &TimeZone::UTC).map(|wait| wait.look_at)
        };
        assert_eq!(young(&[("db", "20:00"), ("web", "22:50")], "23:00"), Some(at("23:20")));
        assert_eq!(young(&[("db", "20:00"), ("web", "22:50")], "23:20"), None);
        assert_eq!(young(&[("db", "20:00"), ("web", "22:30")], "23:00"), None, "just old enough");
        assert_eq!(young(&[], "23:00"), None);
        // Repeated restarts extend the wait by no more than the minimum uptime.
        assert_eq!(young(&[("web", "23:19")], "23:20"), Some(at("23:30")));
        assert_eq!(young(&[("web", "23:29")], "23:30"), None);
    }

    #[test]
    fn the_reason_of_a_wait_names_its_cause_and_end() {
        let wait = guard(Some(30), None, Then::Go)
            .young([("web", at("22:50"))], at("23:00"), at("23:00"), &TimeZone::UTC)
            .expect("it waits");
        assert_eq!(wait.reason, "uptime: web is up since 22:50, and 30 min are wanted; waits until 23:20");
        let Verdict::Later(wait) = guard(None, Some((20, 30)), Then::Go).judge(
            &[load("db", 30), load("web", 63)],
            None,
            at("23:00"),
            &TimeZone::UTC,
        ) else {
            panic!("it waits")
        };
        assert_eq!(
            wait,
            Deferral {
                look_at: at("23:05"),
                busy_until: Some(at("23:30")),
                reason: "busy: web at 63\u{a0}% CPU (limit 20\u{a0}%); looks again at 23:05, sleeps all the same at 23:30"
                    .to_owned(),
            }
        );
    }

    #[test]
    fn a_busy_target_is_waited_for_to_the_end_and_no_longer() {
        let until = Some(at("23:12"));
        for (then, end) in [
            (
                Then::Go,
                Verdict::Go("busy: still web at 21\u{a0}% CPU (limit 20\u{a0}%) after 12 min".to_owned()),
            ),
            (
                Then::Skip,
                Verdict::Skip("busy: still web at 21\u{a0}% CPU (limit 20\u{a0}%) after 12 min".to_owned()),
            ),
        ] {
            let guard = guard(None, Some((20, 12)), then);
            let judge = |percent, now| guard.judge(&[load("web", percent)], until, at(now), &TimeZone::UTC);
            // The last check is at the end of the wait itself.
            assert!(matches!(judge(21, "23:10"), Verdict::Later(wait) if wait.look_at == at("23:12")));
            assert_eq!(judge(21, "23:12"), end);
            assert_eq!(judge(21, "23:40"), end);
            assert_eq!(judge(20, "23:05"), Verdict::Go(String::new()), "the limit itself is not above it");
        }
    }

    #[test]
    fn unmeasured_load_counts_as_not_busy() {
        let guard = guard(None, Some((20, 30)), Then::Skip);
        let unseen = |name: &str| Load { container: name.to_owned(), cpu_percent: Err("refused".to_owned()) };
        let judge = |loads: &[Load]| guard.judge(loads, None, at("23:00"), &TimeZone::UTC);
        assert_eq!(
            judge(&[unseen("db"), load("web", 1), unseen("api")]),
            Verdict::Go(
                "how busy db and 1 more was could not be seen, which counts as not busy: refused".to_owned()
            )
        );
        assert!(matches!(judge(&[unseen("db"), load("web", 99)]), Verdict::Later(_)), "another one is");
        assert_eq!(judge(&[]), Verdict::Go(String::new()));
    }

    #[test]
    fn summaries_name_the_longest_wait() {
        assert_eq!(guard(Some(10), Some((20, 30)), Then::Go).in_short(), "may wait up to 40 min");
        assert_eq!(
            guard(Some(10), None, Then::Go).sentence(),
            "May wait up to 10 min: until it has been up 10 min."
        );
        assert_eq!(
            guard(Some(10), Some((20, 30)), Then::Skip).sentence(),
            "May wait up to 40 min: until it has been up 10 min, then while a container uses more than 20\u{a0}% of a \
             core; if one still does, it stays awake this time."
        );
    }
}
