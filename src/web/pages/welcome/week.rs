//! A window as a picture of a week: a line for each day, with its sleep on it.

use std::fmt::Write as _;

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::domain::user::WeekStart;
use crate::domain::window::{Rota, Window};

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// The line of each day, for a path in a picture 1440 wide and 7 high, and the days' names from the top down.
pub(super) fn week(window: &str, start: WeekStart) -> (String, [&'static str; 7]) {
    let (first, names) = match start {
        WeekStart::Monday => (date(2024, 1, 1), ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]),
        WeekStart::Sunday => (date(2024, 1, 7), ["Su", "Mo", "Tu", "We", "Th", "Fr", "Sa"]),
    };
    let mut path = String::new();
    // Any week will do, where no clock changes.
    let Some(from) = first.to_zoned(TimeZone::UTC).ok().map(|begin| begin.timestamp()) else {
        return (path, names);
    };
    let until = from.checked_add((7 * 24).hours()).unwrap_or(Timestamp::MAX);
    let Ok(window) = Window::parse(window) else { return (path, names) };
    for sleep in Rota::new(&window, &TimeZone::UTC).sleeps(from, until) {
        let minute = |at: Timestamp| (at.clamp(from, until).as_second() - from.as_second()) / 60;
        let (mut at, end) = (minute(sleep.start), minute(sleep.end));
        while at < end {
            let stop = end.min((at / DAY + 1) * DAY);
            let _ = write!(path, "M{} {}.5H{}", at % DAY, at / DAY, (stop - 1) % DAY + 1);
            at = stop;
        }
    }
    (path, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_drawn_on_each_day_it_touches() {
        let path = |window, start| week(window, start).0;
        let monday = WeekStart::Monday;
        assert_eq!(path("sleep Fri 23:00-01:30", monday), "M1380 4.5H1440M0 5.5H90");
        assert_eq!(path("sleep Sun 23:00-01:30", monday), "M0 0.5H90M1380 6.5H1440");
        assert_eq!(path("sleep Sun 23:00-23:30", WeekStart::Sunday), "M1380 0.5H1410");
        assert_eq!(path("nonsense", monday), "");
    }
}
