//! Drawings that pages share: their coordinates and texts, for templates that only write the SVG.
//!
//! All functions are pure, as in [`super::view`]. The drawings use attributes and classes only, since the content
//! security policy allows no inline styles. Each drawing has its content in words too: `title` for screen readers, and
//! its parts for a list beside it.

use jiff::Timestamp;

use super::view::{Badge, Now};
use crate::domain::desired::Interval;
use crate::domain::overrides::DesiredState;

mod bars;
mod graph;
mod ribbon;
mod rule;

pub use bars::{Bar, Bars};
pub use graph::{Graph, Line, Node};
pub use ribbon::{Ribbon, Spark};
pub use rule::{Ahead, RuleWeek};

/// The width of a day in units of the drawing; one unit is five minutes.
pub const DAY: u32 = 288;

/// A time range of a drawing that has its own colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// The left edge, in the units of [`DAY`].
    pub x: u32,
    /// The width, in the units of [`DAY`].
    pub width: u32,
    /// The CSS class: `nap`, `held`, `up` or `off`.
    pub kind: &'static str,
}

/// A day from midnight to midnight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strip {
    /// The id of the title element.
    pub id: String,
    /// The drawing in words.
    pub title: String,
    /// The coloured time ranges.
    pub bands: Vec<Band>,
    /// The position of the current instant, in the units of [`DAY`]; `None` on another day.
    pub now: Option<u32>,
}

impl Strip {
    /// The desired states of the reader's day that is this many days from today; `None` if no state is desired all day.
    pub fn of_day(id: impl Into<String>, intervals: &[Interval], days: i64, now: &Now) -> Option<Self> {
        let (start, end) = (now.midnight(days), now.midnight(days + 1));
        let within: Vec<Interval> = intervals
            .iter()
            .map(|interval| Interval {
                from: interval.from.max(start),
                until: interval.until.min(end),
                ..*interval
            })
            .filter(|interval| interval.from < interval.until)
            .collect();
        if within.iter().all(|interval| interval.wanted.is_none()) {
            return None;
        }
        let place = |at: Timestamp| place(at, start, end);
        let bands = within.iter().filter_map(|interval| {
            let kind = match interval.wanted? {
                DesiredState::Asleep => "nap",
                DesiredState::Hold => "held",
                DesiredState::Awake => "up",
            };
            let x = place(interval.from);
            Some(Band { x, width: (place(interval.until) - x).max(1), kind })
        });
        Some(Self {
            id: id.into(),
            title: now.words(&words(&within, start, end, now)),
            bands: bands.collect(),
            now: (start..end).contains(&now.at).then(|| place(now.at)),
        })
    }
}

/// The position of an instant in a day, in the units of [`DAY`]; the day may have 23 or 25 hours.
fn place(at: Timestamp, start: Timestamp, end: Timestamp) -> u32 {
    let (gone, all) = (at.as_second() - start.as_second(), (end.as_second() - start.as_second()).max(1));
    u32::try_from((gone * i64::from(DAY) + all / 2) / all).unwrap_or(0).min(DAY)
}

/// `Asleep 00:00–07:00 and 23:00–24:00`, `Awake all day`.
fn words(intervals: &[Interval], start: Timestamp, end: Timestamp, now: &Now) -> String {
    let clock = |at: Timestamp| {
        if at == end {
            return "24:00".to_owned();
        }
        at.to_zoned(now.zone.clone()).strftime("%H:%M").to_string()
    };
    let of = |wanted: DesiredState| -> Vec<String> {
        let named = intervals.iter().filter(|interval| interval.wanted == Some(wanted));
        named.map(|interval| format!("{}–{}", clock(interval.from), clock(interval.until))).collect()
    };
    let (asleep, held) = (of(DesiredState::Asleep), of(DesiredState::Hold));
    let one = matches!(intervals, [interval] if (interval.from, interval.until) == (start, end));
    let mut text = match asleep.split_last() {
        None if !held.is_empty() => String::new(),
        None if one => "Awake all day".to_owned(),
        None => format!("Awake {}", of(DesiredState::Awake).join(", ")),
        Some(_) if one => "Asleep all day".to_owned(),
        Some((last, [])) => format!("Asleep {last}"),
        Some((last, others)) => format!("Asleep {} and {last}", others.join(", ")),
    };
    if !held.is_empty() {
        let held = format!("held {}", held.join(", "));
        text = if text.is_empty() { crate::domain::text::capital(&held) } else { format!("{text}; {held}") };
    }
    text
}

/// A day of a [`Week`] with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeekDay {
    /// `Fri 27`.
    pub day: String,
    /// The desired states of the day; `None` if there are none.
    pub strip: Option<Strip>,
}

/// Seven days, one below the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Week {
    /// The days, today first.
    pub days: Vec<WeekDay>,
    /// The drawing in words: `52 h of these 7 days asleep, 31 %`.
    pub title: String,
}

impl Week {
    pub const DAYS: i64 = 7;

    /// The desired states of the reader's next seven days, today first; `None` if there are none.
    pub fn of(intervals: &[Interval], now: &Now) -> Option<Self> {
        if intervals.iter().all(|interval| interval.wanted.is_none()) {
            return None;
        }
        let days = (0..Self::DAYS).map(|day| WeekDay {
            day: now.midnight(day).to_zoned(now.zone.clone()).strftime("%a %-d").to_string(),
            strip: Strip::of_day(format!("week-{day}"), intervals, day, now),
        });
        let of = |wanted: Option<DesiredState>| -> i64 {
            let named = intervals.iter().filter(|interval| wanted.is_none() || interval.wanted == wanted);
            named.map(|interval| interval.until.as_second() - interval.from.as_second()).sum()
        };
        let (asleep, all) = (of(Some(DesiredState::Asleep)), of(None).max(1));
        let title = format!(
            "{} h of these 7 days asleep, {} %",
            (asleep + 1800) / 3600,
            (asleep * 100 + all / 2) / all
        );
        Some(Self { days: days.collect(), title })
    }
}

/// A segment of a [`Donut`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arc {
    /// The state.
    pub state: Badge,
    /// The number of targets in this state.
    pub count: usize,
    /// The value of `stroke-dasharray` on a circle with a circumference of 100.
    pub dash: String,
    /// The value of `stroke-dashoffset`.
    pub offset: String,
}

/// The number of targets in each state, as a ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Donut {
    /// The segments, clockwise from the top.
    pub arcs: Vec<Arc>,
    /// The sum of all counts.
    pub total: usize,
    /// The drawing in words.
    pub title: String,
}

impl Donut {
    /// The ring of these counts; a count of 0 is left out.
    pub fn new(counts: impl IntoIterator<Item = (Badge, usize)>) -> Self {
        let counts: Vec<(Badge, usize)> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        let total: usize = counts.iter().map(|(_, count)| count).sum();
        // The gap between two segments, in hundredths of the ring.
        let gap = if counts.len() > 1 { 2 } else { 0 };
        let mut gone = 0;
        let arcs = counts
            .iter()
            .map(|(state, count)| {
                let (from, to) = (gone * 100 / total, (gone + count) * 100 / total);
                gone += count;
                let long = (to - from).saturating_sub(gap).max(1);
                Arc {
                    state: *state,
                    count: *count,
                    dash: format!("{long} {}", 100 - long),
                    offset: (125 - from).to_string(),
                }
            })
            .collect();
        let parts: Vec<String> =
            counts.iter().map(|(state, count)| format!("{count} {}", state.word.to_lowercase())).collect();
        Self { arcs, total, title: parts.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(from: Timestamp, hours: i64, wanted: Option<DesiredState>) -> Interval {
        let until = from.checked_add(jiff::SignedDuration::from_hours(hours)).expect("an instant");
        Interval { from, until, wanted }
    }

    #[test]
    fn a_day_shows_its_sleep_and_where_now_is() {
        let now = Now::sample();
        let night = interval(now.midnight(0), 7, Some(DesiredState::Asleep));
        let day = interval(night.until, 16, Some(DesiredState::Awake));
        let evening = interval(day.until, 10, Some(DesiredState::Asleep));
        let strip = Strip::of_day("s", &[night, day, evening], 0, &now).expect("something is wanted");
        assert_eq!(strip.title, "Asleep 00:00–07:00 and 23:00–24:00");
        let bands: Vec<_> = strip.bands.iter().map(|band| (band.x, band.width, band.kind)).collect();
        assert_eq!(bands, [(0, 84, "nap"), (84, 192, "up"), (276, 12, "nap")]);
        assert_eq!(strip.now, Some(242));
        let tomorrow = Strip::of_day("s", &[night, day, evening], 1, &now).expect("it reaches into it");
        assert_eq!((tomorrow.title.as_str(), tomorrow.now), ("Asleep 00:00–09:00", None));
        assert_eq!(Strip::of_day("s", &[interval(now.midnight(0), 24, None)], 0, &now), None);
    }

    #[test]
    fn a_day_of_25_hours_fits() {
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone");
        let now = Now { at: "2026-10-25T11:00:00Z".parse().expect("an instant"), zone, ..Now::sample() };
        let all = interval(now.midnight(0), 25, Some(DesiredState::Asleep));
        let strip = Strip::of_day("s", &[all], 0, &now).expect("asleep");
        assert_eq!((strip.title.as_str(), strip.bands[0].width), ("Asleep all day", DAY));
        assert_eq!(now.midnight(1), all.until);
    }

    #[test]
    fn the_title_of_a_week_states_the_time_asleep() {
        let now = Now::sample();
        let asleep = interval(now.midnight(0), 42, Some(DesiredState::Asleep));
        let awake = interval(asleep.until, 126, Some(DesiredState::Awake));
        let week = Week::of(&[asleep, awake], &now).expect("something is wanted");
        assert_eq!(week.title, "42 h of these 7 days asleep, 25 %");
        assert_eq!((week.days.len(), week.days[0].day.as_str()), (7, "Fri 27"));
    }

    #[test]
    fn a_ring_leaves_out_states_without_targets() {
        let donut = Donut::new([(Badge::RUNNING, 3), (Badge::STOPPED, 0), (Badge::NAPPING, 1)]);
        assert_eq!((donut.total, donut.title.as_str()), (4, "3 running, 1 napping"));
        let arcs: Vec<_> = donut.arcs.iter().map(|arc| (arc.dash.as_str(), arc.offset.as_str())).collect();
        assert_eq!(arcs, [("73 27", "125"), ("23 77", "50")]);
        assert_eq!(Donut::new([]).arcs, []);
    }
}
