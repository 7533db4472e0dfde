//! Evaluates a window at many instants in increasing order. A [`Walk`] computes the sleeps of a range of days once
//! instead of once per instant.

use jiff::Timestamp;

use super::timeline::shift;
use super::{Interval, Phase, WindowTimeline};

/// The number of days that are computed first. The number grows up to [`MOST_DAYS`], so that a caller who needs a few
/// minutes does not pay for years.
const FIRST_DAYS: i64 = 4;
const MOST_DAYS: i64 = 64;
/// How far back the start of a sleep is searched, in days. The start is needed to recognise the sleep that is skipped.
const BACK_DAYS: i64 = 64;

/// Returns the same phases as [`WindowTimeline::vote`], for instants in increasing order.
#[derive(Debug)]
pub struct Walk<'a> {
    timeline: WindowTimeline<'a>,
    /// The sleeps after `sleep`, in order.
    sleeps: std::vec::IntoIter<Interval>,
    /// The first sleep that ends after the last instant.
    sleep: Option<Interval>,
    /// The end of the range for which the sleeps are computed.
    known_until: Option<Timestamp>,
    /// The number of days to compute next.
    days: i64,
}

impl<'a> Walk<'a> {
    /// A walk that can start at any instant.
    pub fn new(timeline: WindowTimeline<'a>) -> Self {
        Self { timeline, sleeps: Vec::new().into_iter(), sleep: None, known_until: None, days: FIRST_DAYS }
    }

    /// The phase of the window at `at`, which must not be earlier than `at` of the call before.
    pub fn phase(&mut self, at: Timestamp) -> Phase {
        if self.known_until.is_none_or(|known| known <= at) {
            let from = if self.timeline.skip.is_some() { shift(at, -BACK_DAYS) } else { at };
            let until = shift(at, self.days);
            self.days = (self.days * 4).min(MOST_DAYS);
            self.sleeps = self.timeline.sleeps(from, until).into_iter();
            self.sleep = self.sleeps.next();
            self.known_until = Some(until);
        }
        while self.sleep.is_some_and(|sleep| sleep.end <= at) {
            self.sleep = self.sleeps.next();
        }
        match self.sleep {
            Some(sleep) if sleep.holds(at) && Some(sleep.start) != self.timeline.skip => Phase::Asleep,
            _ => Phase::Awake,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::tz::TimeZone;

    use super::super::Window;
    use super::*;

    #[test]
    fn a_walk_has_the_phase_of_each_instant() {
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
        let begin: Timestamp = "2027-03-01T00:00:00Z".parse().expect("an instant");
        for text in [
            "sleep Mon-Fri 23:00-07:00; Sat 00:00-24:00",
            "awake Mon-Fri 07:30-20:00",
            "awake 00:00-24:00",
            "sleep Sun 02:10-02:40",
        ] {
            let window = Window::parse(text).expect("a window");
            let plain = WindowTimeline::new(&window, &berlin);
            let next = plain.next_sleep(begin).map(|sleep| sleep.start);
            for skip in [None, next] {
                let timeline = WindowTimeline { skip, ..plain };
                let mut walk = Walk::new(timeline);
                // Steps of many lengths: within an interval, onto its edge, far beyond it.
                let mut at = begin;
                for step in (1..400).map(|i| [7, 60, 300, 1440, 97 * 60][i % 5]) {
                    assert_eq!(walk.phase(at), timeline.vote(at).phase(), "{text} {skip:?} {at}");
                    at = at.checked_add(step.minutes()).expect("an instant");
                }
                for edge in timeline.next_changes(at, 20) {
                    assert_eq!(walk.phase(edge.0), edge.1, "{text} {skip:?} {}", edge.0);
                }
            }
        }
    }
}
