//! Instants as the API writes them.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::time::to_text;

/// RFC 3339 in UTC, always to the millisecond: one form for every reader, and texts sort as their instants do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(
    value_type = String,
    format = DateTime,
    pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
    example = "2026-11-23T23:00:00.000Z"
)]
pub struct Instant(pub Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_text(self.0))
    }
}
