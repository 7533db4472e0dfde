//! Time zones that can be named.

use jiff::tz::TimeZone;

use super::time::zone;

/// A zone that can be named.
#[derive(Clone, Debug)]
pub struct NamedZone {
    /// Its IANA name.
    pub name: String,
    /// What it computes.
    pub zone: TimeZone,
}

impl NamedZone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// The zone of a name that is stored. One that the zone database no longer knows is none; saving would have
    /// refused it.
    pub fn find(name: Option<&str>) -> Option<Self> {
        let name = name?;
        Some(Self { name: name.to_owned(), zone: zone(name).ok()? })
    }
}
