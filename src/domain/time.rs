//! Instants and zones, as the rest of the domain uses them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A zone name that is not in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a time zone; use an IANA name such as Europe/Berlin")]
pub struct UnknownZone {
    /// What was given.
    pub name: String,
}

/// The zone of an IANA name, from the system's zoneinfo or the bundled copy.
///
/// # Errors
/// [`UnknownZone`] where the name is in neither, is empty, or is longer than any zone's name.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    let unknown = || UnknownZone { name: name.chars().take(64).collect() };
    if name.is_empty() || name.len() > 64 {
        return Err(unknown());
    }
    TimeZone::get(name).map_err(|_| unknown())
}

/// Unix milliseconds, the form in which instants are stored.
pub fn to_ms(instant: Timestamp) -> i64 {
    instant.as_millisecond()
}

/// The reverse of [`to_ms`]; a number outside jiff's years becomes the nearest instant inside.
pub fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
