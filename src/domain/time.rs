//! Functions for instants and time zones that the whole domain uses: zone names, conversion of wall-clock times to
//! instants, and the text and number formats of instants. `Stretch` gives access to the clock changes of a zone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Serialize, Serializer};

use crate::zones;

/// A zone name that is not in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a time zone; use an IANA name such as Europe/Berlin")]
pub struct UnknownZone {
    /// The name, without control characters and cut to 64 characters.
    pub name: String,
}

/// The zone with an IANA name.
///
/// # Errors
/// [`UnknownZone`] if the name is empty, is longer than 64 bytes, or is not in the database. Names of zoneinfo files
/// that are not IANA zones (`posix/…`, `right/…` with leap seconds, `localtime`) are refused too, because their meaning
/// differs between machines.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    let unknown = || UnknownZone { name: name.chars().filter(|c| !c.is_control()).take(64).collect() };
    let lower = name.to_ascii_lowercase();
    let no_zone = lower.starts_with("posix") || lower.starts_with("right/");
    if name.is_empty() || name.len() > 64 || no_zone || matches!(lower.as_str(), "localtime" | "etc/unknown")
    {
        return Err(unknown());
    }
    zones::chosen().get(name).ok_or_else(unknown)
}

/// The name of a zone as the database spells it; `UTC` for a zone without a name.
pub fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// Converts a wall-clock time to an instant: the first instant after the gap if the clock skips the time, and the first
/// occurrence if the clock shows the time twice (semantics §3, class F). `None` only at the ends of jiff's calendar.
pub fn resolve(wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { before, after } => {
            let change = after.to_timestamp(wall).ok()?;
            let latest = before.to_timestamp(wall).ok()?;
            zone.following(change)
                .take_while(|change| change.timestamp() <= latest)
                .find(|change| change.offset() == after)
                .map(|change| change.timestamp())
        }
    }
}

/// The midnights that bound the last `days` days in a zone, the last of which is today: `days` + 1 instants, in order.
pub fn days_to(now: Timestamp, zone: &TimeZone, days: u16) -> Vec<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    let begins = |ago: i32| {
        let day = today.checked_sub(jiff::Span::new().days(ago)).ok()?;
        resolve(day.to_datetime(jiff::civil::Time::midnight()), zone)
    };
    (-1..i32::from(days)).rev().filter_map(begins).collect()
}

/// An instant as text for programs: RFC 3339 in UTC, always with milliseconds.
pub fn to_text(instant: Timestamp) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    PRINTER.timestamp_to_string(&instant)
}

// The format of `serialize_instant` as a type, for lists and for schemas.
/// An instant in RFC 3339 format, in UTC, always with milliseconds. The texts sort in time order.
#[derive(utoipa::ToSchema)]
#[schema(
    value_type = String,
    format = DateTime,
    pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
    example = "2026-11-23T23:00:00.000Z"
)]
pub struct Instant(pub Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_instant(&self.0, serializer)
    }
}

/// Serializes an instant or an optional instant with [`to_text`].
pub fn serialize_instant<S: Serializer>(
    at: &(impl Copy + Into<Option<Timestamp>>),
    to: S,
) -> Result<S::Ok, S::Error> {
    (*at).into().map(to_text).serialize(to)
}

/// An instant as the database stores it: milliseconds since the epoch.
pub fn to_ms(instant: Timestamp) -> i64 {
    instant.as_millisecond()
}

/// The reverse of [`to_ms`]. A number outside jiff's range becomes the first or last instant of the range.
pub fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A stretch: the time between two consecutive clock changes of a zone, in which the zone has one offset from UTC.
/// Instants are in seconds since the epoch, and offsets in seconds. Wall-clock times are in seconds since 1970-01-01
/// 00:00 by wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The first second of the stretch; `-FAR` if there is no earlier clock change.
    pub(crate) start: i64,
    /// The first second after the stretch; `FAR` if there is no later clock change.
    pub(crate) end: i64,
    /// The offset: wall clock minus UTC.
    pub(crate) offset: i64,
    /// The offset of the previous stretch.
    pub(crate) before: i64,
}

/// A number of seconds outside jiff's range, small enough that adding an offset does not overflow.
const FAR: i64 = i64::MAX / 4;

impl Stretch {
    /// The stretch that contains a second.
    ///
    /// The end is searched from that second and not from the start of the stretch. Zone files in the format for old
    /// readers have an entry at 2038-01-19T03:14:07Z that changes no offset; jiff finds this entry when searching
    /// forward but not when searching backward.
    pub(crate) fn holding(second: i64, zone: &TimeZone) -> Self {
        let offset = offset(second, zone);
        let end = following(second, zone);
        match zone.preceding(instant(second.saturating_add(1))).next() {
            Some(change) => {
                let start = change.timestamp().as_second();
                Self { start, end, offset, before: self::offset(start - 1, zone) }
            }
            None => Self { start: -FAR, end, offset, before: offset },
        }
    }

    /// The following stretch; `None` if there is no later clock change.
    pub(crate) fn next(&self, zone: &TimeZone) -> Option<Self> {
        (self.end < FAR).then(|| Self {
            start: self.end,
            end: following(self.end, zone),
            offset: offset(self.end, zone),
            before: self.offset,
        })
    }

    /// The wall-clock time at the start, by this stretch's offset.
    pub(crate) fn wall_start(&self) -> i64 {
        self.start + self.offset
    }

    /// The wall-clock time at the end, by this stretch's offset.
    pub(crate) fn wall_end(&self) -> i64 {
        self.end + self.offset
    }

    /// The wall-clock time at the start, by the previous stretch's offset.
    pub(crate) fn wall_before(&self) -> i64 {
        self.start + self.before
    }

    /// Whether the clock is set back at the start, so that wall-clock times repeat.
    pub(crate) fn is_set_back(&self) -> bool {
        self.offset < self.before
    }

    /// The first whole wall-clock minute of the stretch, in minutes.
    pub(crate) fn first_minute(&self) -> i64 {
        ceil_minute(self.wall_start())
    }

    /// The first whole wall-clock minute of the stretch that the previous stretch has not shown, in minutes.
    pub(crate) fn first_fresh_minute(&self) -> i64 {
        ceil_minute(self.wall_start().max(self.wall_before()))
    }
}

/// Seconds as minutes, rounded up.
fn ceil_minute(second: i64) -> i64 {
    -(-second).div_euclid(60)
}

/// The second of the first clock change after a second; [`FAR`] if there is none.
fn following(second: i64, zone: &TimeZone) -> i64 {
    zone.following(instant(second)).next().map_or(FAR, |change| change.timestamp().as_second())
}

/// The offset (wall clock minus UTC) at a second.
fn offset(second: i64, zone: &TimeZone) -> i64 {
    i64::from(zone.to_offset(instant(second)).seconds())
}

/// The instant of a second, limited to jiff's range.
fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_instant_is_written_to_the_millisecond_whatever_it_is() {
        for (given, written) in [
            ("2026-11-23T23:00:00Z", "2026-11-23T23:00:00.000Z"),
            ("2026-11-23T23:00:00.5Z", "2026-11-23T23:00:00.500Z"),
            ("2026-11-23T23:00:00.123999Z", "2026-11-23T23:00:00.123Z"),
            ("2026-11-23T23:00:00+01:00", "2026-11-23T22:00:00.000Z"),
        ] {
            assert_eq!(to_text(utc(given)), written);
        }
    }

    #[test]
    fn zone_names_are_iana_names() {
        assert_eq!(zone_name(&zone("europe/berlin").unwrap()), "Europe/Berlin");
        assert_eq!(zone_name(&zone("UTC").unwrap()), "UTC");
        for name in [
            "",
            "Berlin",
            "Mars/Base",
            "../../etc/passwd",
            "/etc/passwd",
            "posix/UTC",
            "right/UTC",
            "posixrules",
            "localtime",
            "Etc/Unknown",
            "Europe/Berlin\n",
            "UTC+2",
            &"x".repeat(65),
        ] {
            let error = zone(name).expect_err(name);
            assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn resolve_takes_the_end_of_a_gap_and_the_first_pass_of_an_overlap() {
        let berlin = zone("Europe/Berlin").unwrap();
        let at = |text: &str| resolve(text.parse().unwrap(), &berlin);
        assert_eq!(at("2027-06-01T12:00"), Some(utc("2027-06-01T10:00:00Z")));
        assert_eq!(at("2027-03-28T02:00"), Some(utc("2027-03-28T01:00:00Z")));
        assert_eq!(at("2027-03-28T02:59"), Some(utc("2027-03-28T01:00:00Z")));
        assert_eq!(at("2027-10-31T02:30"), Some(utc("2027-10-31T00:30:00Z")));
        // Samoa had no 30 December 2011.
        let apia = zone("Pacific/Apia").unwrap();
        assert_eq!(resolve("2011-12-30T12:00".parse().unwrap(), &apia), Some(utc("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn days_lie_between_midnights_of_the_zone() {
        let berlin = zone("Europe/Berlin").unwrap();
        let edges = days_to(utc("2027-03-28T12:00:00Z"), &berlin, 2);
        // The day on which the clocks go forward has 23 hours.
        let expected = ["2027-03-26T23:00:00Z", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"].map(utc);
        assert_eq!(edges, expected);
        assert_eq!(days_to(utc("2027-06-01T00:00:00Z"), &TimeZone::UTC, 30).len(), 31);
    }

    #[test]
    fn a_stretch_lies_between_two_changes() {
        let berlin = zone("Europe/Berlin").unwrap();
        let summer = Stretch::holding(utc("2027-06-01T12:00:00Z").as_second(), &berlin);
        assert_eq!(summer.start, utc("2027-03-28T01:00:00Z").as_second());
        assert_eq!(summer.end, utc("2027-10-31T01:00:00Z").as_second());
        assert_eq!((summer.offset, summer.before), (7200, 3600));
        assert_eq!(Stretch::holding(summer.start, &berlin), summer);
        assert_eq!(Stretch::holding(summer.end - 1, &berlin), summer);
        let winter = summer.next(&berlin).unwrap();
        assert!(winter.is_set_back());
        assert_eq!(winter, Stretch::holding(summer.end, &berlin));
        assert_eq!(Stretch::holding(0, &TimeZone::UTC).next(&TimeZone::UTC), None);
    }

    #[test]
    fn every_zone_has_a_stretch_around_every_second() {
        let mut zones = 0;
        for name in zones::chosen().names() {
            let Ok(zone) = zone(&name) else { continue };
            zones += 1;
            for second in (0..3_000_000_000).step_by(97 * 86_400) {
                let stretch = Stretch::holding(second, &zone);
                assert!((stretch.start..stretch.end).contains(&second), "{name} {second}: {stretch:?}");
                if let Some(next) = stretch.next(&zone) {
                    assert_eq!((next.start, next.before), (stretch.end, stretch.offset), "{name} {second}");
                    assert!(next.end > next.start, "{name} {second}: {next:?}");
                }
            }
        }
        assert!(zones > 400, "only {zones} zones");
    }
}
