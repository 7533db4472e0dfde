//! What a window says at instants that are asked for in order: its sleeps are worked out once, not for each of them.

use jiff::Timestamp;

use super::timeline::shift;
use super::{Interval, Phase, WindowTimeline};

/// Days worked out at first, and at most, at once: who asks about minutes does not pay for years.
const FIRST: i64 = 4;
const MOST: i64 = 64;
/// A sleep that is dropped is told by its start, which is looked for so many days back.
const BACK: i64 = 64;

/// Answers as [`WindowTimeline::vote`] does, for instants that never go back.
#[derive(Debug)]
pub struct Walk<'a> {
    timeline: WindowTimeline<'a>,
    /// The sleeps not left behind yet, in order.
    sleeps: std::vec::IntoIter<Interval>,
    sleep: Option<Interval>,
    /// Up to here the sleeps are known.
    known: Option<Timestamp>,
    days: i64,
}

impl<'a> Walk<'a> {
    /// Begins anywhere.
    pub fn new(timeline: WindowTimeline<'a>) -> Self {
        Self { timeline, sleeps: Vec::new().into_iter(), sleep: None, known: None, days: FIRST }
    }

    /// What the rule wants at `at`, which lies no earlier than the instant before.
    pub fn phase(&mut self, at: Timestamp) -> Phase {
        if self.known.is_none_or(|known| known <= at) {
            let from = if self.timeline.skip.is_some() { shift(at, -BACK) } else { at };
            let until = shift(at, self.days);
            self.days = (self.days * 4).min(MOST);
            self.sleeps = self.timeline.sleeps(from, until).into_iter();
            self.sleep = self.sleeps.next();
            self.known = Some(until);
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
    fn a_walk_says_what_each_instant_says() {
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
                // Steps of many lengths: within a stretch, onto its edge, far beyond it.
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
