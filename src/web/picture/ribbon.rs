//! The past of a target: its states over some days, and the durations of its starts.

use jiff::Timestamp;

use super::{Band, DAY};
use crate::app::stacks::{Stretch, Was};
use crate::web::view::{self, Now};

/// The states of the last days side by side: running, napping, down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ribbon {
    /// The coloured time ranges, in the units of [`Ribbon::WIDTH`]; their class is `up`, `nap` or `off`.
    pub bands: Vec<Band>,
    /// The position of each midnight after the first.
    pub days: Vec<u32>,
    /// The short names of the days.
    pub names: Vec<String>,
    /// The drawing in words.
    pub title: String,
}

impl Ribbon {
    /// The number of days, including today.
    pub const DAYS: i64 = 7;
    /// The width of the drawing.
    pub const WIDTH: u32 = DAY * 7;

    /// The last days up to now; `None` if nothing is recorded.
    pub fn new(stretches: &[Stretch], now: &Now) -> Option<Self> {
        if stretches.is_empty() {
            return None;
        }
        let (start, end) = (now.midnight(1 - Self::DAYS), now.midnight(1));
        let all = (end.as_second() - start.as_second()).max(1);
        let place = |at: Timestamp| {
            let gone = at.as_second().clamp(start.as_second(), end.as_second()) - start.as_second();
            u32::try_from((gone * i64::from(Self::WIDTH) + all / 2) / all).unwrap_or(0)
        };
        let bands = stretches.iter().map(|one| {
            let x = place(one.from);
            let kind = match one.was {
                Was::Up => "up",
                Was::Napping => "nap",
                Was::Down => "off",
            };
            Band { x, width: (place(one.until) - x).max(1), kind }
        });
        let of = |was: Was| -> i64 {
            let like = stretches.iter().filter(|one| one.was == was);
            like.map(|one| one.until.as_second() - one.from.as_second()).sum()
        };
        let parts: Vec<String> = [(Was::Up, "running"), (Was::Napping, "napping"), (Was::Down, "down")]
            .into_iter()
            .map(|(was, word)| (of(was), word))
            .filter(|(seconds, _)| *seconds > 0)
            .map(|(seconds, word)| format!("{word} {}", view::duration(seconds * 1000)))
            .collect();
        let day = |day: i64| now.midnight(day).to_zoned(now.zone.clone()).strftime("%a").to_string();
        Some(Self {
            bands: bands.collect(),
            days: (2 - Self::DAYS..=0).map(|day| place(now.midnight(day))).collect(),
            names: (1 - Self::DAYS..=0).map(day).collect(),
            title: format!("Last 7 days: {}", parts.join(", ")),
        })
    }
}

/// A sparkline of some numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spark {
    /// The `points` of the line; x is 0 to 100, y is 0 to 20.
    pub points: String,
    /// The drawing in words.
    pub title: String,
}

impl Spark {
    /// The line of the durations of starts in milliseconds, oldest first; `None` for fewer than two.
    pub fn new(took: &[i64]) -> Option<Self> {
        let shown = &took[took.len().saturating_sub(30)..];
        let (last, most) = (shown.last()?, *shown.iter().max()?);
        let steps = i64::try_from(shown.len()).ok()?.checked_sub(1).filter(|steps| *steps > 0)?;
        let point = |(number, took): (i64, &i64)| {
            format!("{},{}", number * 100 / steps, 19 - took.max(&0) * 18 / most.max(1))
        };
        let points: Vec<String> = (0..).zip(shown).map(point).collect();
        let mut ranked = shown.to_vec();
        ranked.sort_unstable();
        Some(Self {
            points: points.join(" "),
            title: format!(
                "{} starts took {} in the middle, {} at most, {} last",
                shown.len(),
                view::duration(ranked[ranked.len() / 2]),
                view::duration(most),
                view::duration(*last)
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ribbon_shows_seven_days() {
        let now = Now::sample();
        let from = now.midnight(-6);
        let middle = now.midnight(-2);
        let stretches = [
            Stretch { from, until: middle, was: Was::Up },
            Stretch { from: middle, until: now.at, was: Was::Napping },
        ];
        let ribbon = Ribbon::new(&stretches, &now).expect("something is known");
        assert_eq!((ribbon.bands[0].x, ribbon.bands[0].width), (0, 4 * DAY));
        assert_eq!(ribbon.names.first().map(String::as_str), Some("Sat"));
        assert_eq!((ribbon.days.len(), ribbon.days[0]), (6, DAY));
        assert!(ribbon.title.contains("running 96 h 0 min, napping 68 h"), "{}", ribbon.title);
        assert_eq!(Ribbon::new(&[], &now), None);
    }

    #[test]
    fn a_line_needs_two_numbers() {
        assert_eq!(Spark::new(&[1000]), None);
        let spark = Spark::new(&[1000, 3000, 2000]).expect("three");
        assert_eq!(spark.points, "0,13 50,1 100,7");
        assert_eq!(spark.title, "3 starts took 2.0 s in the middle, 3.0 s at most, 2.0 s last");
        assert!(Spark::new(&[0, 0]).is_some());
    }
}
