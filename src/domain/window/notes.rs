//! The effects of the next clock changes on a window. Forms show them as text before a schedule is saved.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::WindowTimeline;
use crate::domain::time::{Stretch, resolve, zone_name};

/// A sleep that a clock change makes longer or shorter, or whose edge the clock skips or shows twice. `Display` writes
/// one line: "the sleep from 27 Mar 2027 22:00 lasts 7 h, not 8 h: the clocks of Europe/Berlin go forward".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SleepNote {
    /// The instant of the clock change.
    pub at: Timestamp,
    /// The start of the sleep, as the window's text has it (wall-clock time).
    pub start: DateTime,
    /// The end of the sleep, as the window's text has it (wall-clock time).
    pub end: DateTime,
    /// The real duration; zero or less if the sleep does not take place.
    pub lasts: SignedDuration,
    /// The first edge that does not exist or happens twice.
    pub edge: Option<EdgeNote>,
    /// Whether the clock goes back, not forward.
    pub back: bool,
    /// The zone's name.
    pub zone: String,
}

/// The effect of a clock change on one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeNote {
    /// The first time does not exist; the edge is at the second time instead. Both are wall-clock times.
    Gap(DateTime, DateTime),
    /// The time happens twice; the edge is at its first occurrence.
    Twice(DateTime),
}

impl fmt::Display for SleepNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |wall: DateTime| wall.strftime("%-d %b %Y %H:%M");
        let planned = self.start.duration_until(self.end);
        write!(f, "the sleep from {} ", day(self.start))?;
        if self.lasts <= SignedDuration::ZERO {
            return write!(f, "falls away: {} leaves out that hour", self.zone);
        }
        if self.lasts == planned {
            write!(f, "lasts {}", Length(self.lasts))?;
        } else {
            write!(f, "lasts {}, not {}", Length(self.lasts), Length(planned))?;
        }
        match self.edge {
            Some(EdgeNote::Gap(wall, to)) => {
                write!(f, ": {} does not exist in {}, {} counts", day(wall), self.zone, to.strftime("%H:%M"))
            }
            Some(EdgeNote::Twice(wall)) => {
                write!(f, ": {} happens twice in {}, the first time counts", day(wall), self.zone)
            }
            None if self.back => write!(f, ": the clocks of {} go back", self.zone),
            None => write!(f, ": the clocks of {} go forward", self.zone),
        }
    }
}

/// Displays a duration as `7 h`, `1 h 30 min` or `40 min`.
struct Length(SignedDuration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_mins() / 60, self.0.as_mins() % 60) {
            (0, minutes) => write!(f, "{minutes} min"),
            (hours, 0) => write!(f, "{hours} h"),
            (hours, minutes) => write!(f, "{hours} h {minutes} min"),
        }
    }
}

impl WindowTimeline<'_> {
    /// The sleeps that clock changes within `horizon_days` after `after` affect, in order.
    pub fn dst_notes(&self, after: Timestamp, horizon_days: u32) -> Vec<SleepNote> {
        let until = after.as_second() + i64::from(horizon_days) * 86_400;
        let mut notes = Vec::new();
        let mut stretch = Stretch::holding(after.as_second(), self.zone);
        while let Some(next) = stretch.next(self.zone)
            && next.start <= until
        {
            stretch = next;
            if stretch.wall_start() != stretch.wall_before() {
                notes.extend(self.notes_on(&stretch));
            }
        }
        notes
    }

    /// The sleeps that the clock change at the start of a stretch affects.
    fn notes_on(&self, stretch: &Stretch) -> Vec<SleepNote> {
        // The same window in UTC gives the wall-clock times without clock changes.
        let utc = TimeZone::UTC;
        let plain = WindowTimeline { zone: &utc, skip: None, ..*self };
        let (first, last) = (stretch.wall_start(), stretch.wall_before());
        let (first, last) = (first.min(last), first.max(last));
        let (Ok(at), Ok(first), Ok(last)) = (
            Timestamp::from_second(stretch.start),
            Timestamp::from_second(first),
            Timestamp::from_second(last),
        ) else {
            return Vec::new();
        };
        let sleeps = plain.sleeps(first.checked_sub(1.minute()).unwrap_or(first), last);
        sleeps
            .into_iter()
            .filter_map(|sleep| {
                let wall = |at: Timestamp| at.to_zoned(utc.clone()).datetime();
                let (start, end) = (wall(sleep.start), wall(sleep.end));
                let (from, to) = (resolve(start, self.zone)?, resolve(end, self.zone)?);
                let edge = [start, end].into_iter().find_map(|wall| self.edge_note(wall));
                let lasts = to.duration_since(from);
                let is_skipped = self.skip == Some(from);
                // A window without a next change is always asleep, so its sleep needs no note.
                let is_touched =
                    matches!(edge, Some(EdgeNote::Twice(_))) || lasts != start.duration_until(end);
                (is_touched && !is_skipped && plain.next_change(sleep.start).is_some()).then(|| SleepNote {
                    at,
                    start,
                    end,
                    lasts,
                    edge,
                    back: stretch.is_set_back(),
                    zone: zone_name(self.zone).to_owned(),
                })
            })
            .collect()
    }

    fn edge_note(&self, wall: DateTime) -> Option<EdgeNote> {
        match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { .. } => None,
            AmbiguousOffset::Fold { .. } => Some(EdgeNote::Twice(wall)),
            AmbiguousOffset::Gap { .. } => {
                let to = resolve(wall, self.zone)?.to_zoned(self.zone.clone()).datetime();
                Some(EdgeNote::Gap(wall, to))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::window::Window;

    fn notes(text: &str, after: &str) -> Vec<String> {
        let window = Window::parse(text).expect(text);
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let notes = WindowTimeline::new(&window, &zone).dst_notes(after.parse().expect("an instant"), 300);
        notes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_note_has_the_length_on_the_night_of_a_change() {
        // Clocks go forward on 28 March 2027 at 02:00 and back on 31 October 2027 at 03:00.
        let after = "2027-02-01T00:00:00Z";
        assert_eq!(
            notes("sleep 23:00-07:00", after),
            [
                "the sleep from 27 Mar 2027 23:00 lasts 7 h, not 8 h: the clocks of Europe/Berlin go forward",
                "the sleep from 30 Oct 2027 23:00 lasts 9 h, not 8 h: the clocks of Europe/Berlin go back",
            ]
        );
        assert_eq!(
            notes("sleep 02:10-02:40", after),
            [
                "the sleep from 28 Mar 2027 02:10 falls away: Europe/Berlin leaves out that hour",
                "the sleep from 31 Oct 2027 02:10 lasts 30 min: 31 Oct 2027 02:10 happens twice in Europe/Berlin, the first \
                 time counts",
            ]
        );
        assert_eq!(
            notes("sleep 02:30-06:00", after),
            [
                "the sleep from 28 Mar 2027 02:30 lasts 3 h, not 3 h 30 min: 28 Mar 2027 02:30 does not exist in \
                 Europe/Berlin, 03:00 counts",
                "the sleep from 31 Oct 2027 02:30 lasts 4 h 30 min, not 3 h 30 min: 31 Oct 2027 02:30 happens twice in \
                 Europe/Berlin, the first time counts",
            ]
        );
    }

    #[test]
    fn a_sleep_that_no_change_affects_has_no_note() {
        for text in
            ["sleep 12:00-14:00", "sleep 23:00-01:30", "sleep 00:00-24:00", "sleep Mon-Fri 23:00-07:00"]
        {
            assert_eq!(notes(text, "2027-02-01T00:00:00Z"), Vec::<String>::new(), "{text}");
        }
    }
}
