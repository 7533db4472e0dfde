//! Finds conflicts between schedules of one target (semantics §4): two schedules that fire in the same minute
//! ([`first_clash`]), and a cron or one-off schedule whose action contradicts a window ([`first_contradiction`]).
//! [`precedence_of`] decides which of two schedules that fire in the same minute goes first.

use std::cmp::Ordering;

use jiff::{Timestamp, ToSpan};

use super::action::Action;
use super::contradiction::contradicts;
use super::fires::Fires;
use super::minutes::{self, Week};
use super::overrides::DesiredState;
use super::schedule::ScheduleSpec;
use super::window::{Phase, Walk, WindowTimeline};

/// How far ahead two schedules are compared, in days.
const HORIZON_DAYS: i64 = 400;
/// The most fires that are compared.
const MOST_FIRES: usize = 2000;

/// The time ranges within [`HORIZON_DAYS`] after `after` in which two schedules can fire in the same minute. If one of
/// them has no minutes of the week, the range is the whole time.
fn stretches(a: Option<&Week<'_>>, b: Option<&Week<'_>>, after: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let until = after.checked_add((HORIZON_DAYS * 24).hours()).unwrap_or(Timestamp::MAX);
    match (a, b) {
        (Some(a), Some(b)) => minutes::stretches(a, b, after, until),
        _ => vec![(after, until)],
    }
}

/// The first fire of `a` after `after` in the minute of which `b` fires too. The search ends after 400 days, or after
/// 2,000 fires of `a` in time ranges in which both can fire.
pub fn first_clash(a: &Fires, b: &Fires, after: Timestamp) -> Option<Timestamp> {
    let mut left = MOST_FIRES;
    stretches(a.week().as_ref(), b.week().as_ref(), after).into_iter().find_map(|(after, until)| {
        let within = |at: &Timestamp| *at <= until;
        let mut others = b.iter(after).take(MOST_FIRES).take_while(within).peekable();
        for at in a.iter(after).take(left).take_while(within) {
            left -= 1;
            while others.next_if(|other| minute(*other) < minute(at)).is_some() {}
            match others.peek() {
                Some(other) if minute(*other) == minute(at) => return Some(at),
                Some(_) => {}
                None => return None,
            }
        }
        None
    })
}

/// The first fire after `after` whose action contradicts the window at that instant, with the state that the window
/// requires. The search has the same limits as in [`first_clash`].
pub fn first_contradiction(
    fires: &Fires,
    action: Action,
    timeline: WindowTimeline<'_>,
    after: Timestamp,
) -> Option<(Timestamp, DesiredState)> {
    let against = [Phase::Awake, Phase::Asleep].map(|phase| contradicts(action, wanted(phase)));
    // The minutes of the phase that the action contradicts, where all weeks are alike.
    let week = match against {
        [false, false] => return None,
        [true, true] => None,
        [awake, _] => (timeline.days.is_weekly() && timeline.skip.is_none()).then(|| Week {
            minutes: timeline.window.week(if awake { Phase::Awake } else { Phase::Asleep }),
            zone: timeline.zone,
        }),
    };
    let mut walk = Walk::new(timeline);
    let mut left = MOST_FIRES;
    stretches(fires.week().as_ref(), week.as_ref(), after).into_iter().find_map(|(after, until)| {
        let coming = fires.iter(after).take(left).take_while(|at| *at <= until);
        coming
            .inspect(|_| left -= 1)
            .map(|at| (at, wanted(walk.phase(at))))
            .find(|(_, wanted)| contradicts(action, *wanted))
    })
}

/// The state that a window requires in a phase.
fn wanted(phase: Phase) -> DesiredState {
    match phase {
        Phase::Awake => DesiredState::Awake,
        Phase::Asleep => DesiredState::Asleep,
    }
}

/// The minute of an instant, counted from the epoch.
fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

/// Which of two schedules goes first if they fire in the same minute: the one with the higher priority, then the one
/// with the narrower target, then start and unpause before restart before pause before stop (rulings 51). `Less` means that
/// `a` goes first. `Equal` means that the older one goes first, which the caller decides.
pub fn precedence_of(a: &ScheduleSpec, b: &ScheduleSpec) -> Ordering {
    (b.priority, b.target.narrowness(), a.action.clash_rank()).cmp(&(
        a.priority,
        a.target.narrowness(),
        b.action.clash_rank(),
    ))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::cron::Cron;
    use crate::domain::day_rules::{DayRules, Reading};
    use crate::domain::window::Window;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cron(text: &str, zone: &str) -> Fires {
        Fires::Cron(Cron::parse(text).unwrap(), Reading::in_zone(TimeZone::get(zone).unwrap()))
    }

    #[test]
    fn a_nightly_stop_meets_a_weekly_restart_on_its_day() {
        let clash =
            first_clash(&cron("0 23 * * *", "UTC"), &cron("0 23 * * SUN", "UTC"), at("2026-11-23T00:00:00Z"));
        assert_eq!(clash, Some(at("2026-11-29T23:00:00Z")));
    }

    #[test]
    fn zones_that_differ_only_in_winter_meet_in_summer() {
        let clash = first_clash(
            &cron("0 23 * * *", "Europe/London"),
            &cron("0 22 * * *", "UTC"),
            at("2026-11-23T00:00:00Z"),
        );
        assert_eq!(clash, Some(at("2027-03-28T22:00:00Z")));
    }

    #[test]
    fn schedules_that_never_meet_are_not_reported() {
        let after = at("2026-11-23T00:00:00Z");
        assert_eq!(first_clash(&cron("0 23 * * *", "UTC"), &cron("1 23 * * *", "UTC"), after), None);
        let past = Fires::Once(at("2026-01-01T23:00:00Z"));
        assert_eq!(first_clash(&cron("0 23 * * *", "UTC"), &past, after), None);
    }

    #[test]
    fn an_instant_within_the_minute_counts() {
        let once = Fires::Once(at("2026-11-24T23:00:30Z"));
        let clash = first_clash(&once, &cron("0 23 * * *", "UTC"), at("2026-11-23T00:00:00Z"));
        assert_eq!(clash, Some(at("2026-11-24T23:00:30Z")));
    }

    /// Zones whose clocks change at different instants, by an hour, by half an hour, across midnight, and not at all.
    const ZONES: [&str; 8] = [
        "UTC",
        "Europe/Berlin",
        "Europe/London",
        "America/New_York",
        "America/Santiago",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
    ];

    /// Expressions that fire also near the hours of clock changes, most with few fires in 400 days.
    fn crons() -> impl Strategy<Value = Cron> {
        let part = |choices: &'static [&'static str]| proptest::sample::select(choices);
        let minute = part(&["0", "15", "30", "45", "0,30"]);
        let hour = part(&["0", "1", "2", "3", "7", "22", "23", "*", "*/6"]);
        let day = part(&["*", "*", "1", "13", "*/10"]);
        let weekday = part(&["*", "*", "1-5", "0,6", "7", "3"]);
        (minute, hour, day, weekday).prop_filter_map("too many", |(minute, hour, day, weekday)| {
            let often = hour == "*" && (weekday != "*" || !matches!(day, "1" | "13"));
            (!often).then(|| Cron::parse(&format!("{minute} {hour} {day} * {weekday}")).unwrap())
        })
    }

    fn readings() -> impl Strategy<Value = Reading> {
        proptest::sample::select(&ZONES[..]).prop_map(|name| Reading::in_zone(TimeZone::get(name).unwrap()))
    }

    fn fires_of(cron: &Fires, after: Timestamp) -> Vec<Timestamp> {
        let until = after.checked_add((HORIZON_DAYS * 24).hours()).unwrap();
        cron.iter(after).take_while(|at| *at <= until).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn skipped_time_ranges_have_no_clash(
            (a, b) in (crons(), crons()),
            (ours, theirs) in (readings(), readings()),
            minutes in 0_i64..1_000_000,
        ) {
            let after = at("2026-01-01T00:00:30Z").checked_add(minutes.minutes()).unwrap();
            let (a, b) = (Fires::Cron(a, ours), Fires::Cron(b, theirs));
            let theirs = fires_of(&b, after);
            let one_by_one = fires_of(&a, after).into_iter().find(|at| theirs.binary_search(at).is_ok());
            prop_assert_eq!(first_clash(&a, &b, after), one_by_one);
        }

        #[test]
        fn skipped_time_ranges_have_no_contradiction(
            cron in crons(),
            text in proptest::sample::select(&[
                "sleep 23:00-07:00",
                "awake 08:00-22:00",
                "sleep Mon-Fri 22:00-07:00; Sat,Sun 23:30-08:00",
                "sleep Fri 20:00 - Mon 06:00; Wed 02:15-02:45",
                "awake Sun 01:30 - Sun 01:30; Tue 00:00-00:30",
                "sleep 01:45-02:45",
            ][..]),
            action in proptest::sample::select(&[Action::Start, Action::Stop, Action::Pause, Action::Restart][..]),
            (ours, theirs) in (readings(), readings()),
            minutes in 0_i64..1_000_000,
        ) {
            let after = at("2026-01-01T00:00:30Z").checked_add(minutes.minutes()).unwrap();
            let (cron, window) = (Fires::Cron(cron, ours), Window::parse(text).unwrap());
            let timeline = WindowTimeline::of(&window, &theirs, None);
            let one_by_one = fires_of(&cron, after)
                .into_iter()
                .map(|at| (at, wanted(timeline.vote(at).phase())))
                .find(|(_, wanted)| contradicts(action, *wanted));
            prop_assert_eq!(first_contradiction(&cron, action, timeline, after), one_by_one);
        }
    }

    #[test]
    fn schedules_that_meet_only_at_a_clock_change_are_found() {
        let (after, berlin) = (at("2026-11-23T00:00:00Z"), "Europe/Berlin");
        // The clock skips 02:30 on one night, so the schedule fires at 03:00.
        let (left_out, three) = (cron("30 2 * * *", berlin), cron("0 3 * * *", berlin));
        assert_eq!(first_clash(&left_out, &three, after), Some(at("2027-03-28T01:00:00Z")));
        let window = Window::parse("awake 03:00-03:10").unwrap();
        let reading = Reading::in_zone(TimeZone::get(berlin).unwrap());
        let timeline = WindowTimeline::of(&window, &reading, None);
        let found = first_contradiction(&left_out, Action::Stop, timeline, after);
        assert_eq!(found, Some((at("2027-03-28T01:00:00Z"), DesiredState::Awake)));
        // The clock shows 02:15 twice on another night, and the sleep has ended at its second occurrence.
        let (twice, window) = (cron("*/15 2 * * *", berlin), Window::parse("sleep 02:00-02:46").unwrap());
        let timeline = WindowTimeline::of(&window, &reading, None);
        let found = first_contradiction(&twice, Action::Stop, timeline, after);
        assert_eq!(found, Some((at("2027-10-31T01:00:00Z"), DesiredState::Awake)));
    }

    #[test]
    fn a_skipped_sleep_and_a_date_of_a_calendar_are_considered() {
        let window = Window::parse("sleep 20:00-08:00").unwrap();
        let utc = Reading::in_zone(TimeZone::UTC);
        let (stop, after) = (cron("0 23 * * *", "UTC"), at("2027-01-01T12:00:00Z"));
        let first = |timeline: WindowTimeline<'_>| {
            first_contradiction(&stop, Action::Stop, timeline, after).map(|found| found.0)
        };
        let plain = WindowTimeline::of(&window, &utc, None);
        assert_eq!(first(plain), None);
        let skip = Some(at("2027-01-05T20:00:00Z"));
        assert_eq!(first(WindowTimeline { skip, ..plain }), Some(at("2027-01-05T23:00:00Z")));
        let dates = crate::domain::calendar::CalendarDays {
            dates: ["2027-03-03".parse().unwrap()].into(),
            ..Default::default()
        };
        let calendar = Some((Arc::new(dates), crate::domain::calendar::CalendarEffect::Awake));
        let days = &DayRules { calendar, ..DayRules::NONE };
        assert_eq!(first(WindowTimeline { days, ..plain }), Some(at("2027-03-03T23:00:00Z")));
    }
}
