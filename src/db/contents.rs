//! What a database holds, for the comparison of a backup with the database in use.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::query::sql;
use super::{Db, Result};

/// A kind of object with a name and a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    User,
    Host,
    Schedule,
    Calendar,
    Group,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::User, Self::Host, Self::Schedule, Self::Calendar, Self::Group];
}

/// Id, revision and name of every object of a kind.
pub async fn of_kind(db: &Db, kind: Kind) -> Result<Vec<(String, i64, String)>> {
    let table = match kind {
        Kind::User => "users",
        Kind::Host => "hosts",
        Kind::Schedule => "schedules WHERE deleted_ms IS NULL",
        Kind::Calendar => "calendars",
        Kind::Group => "groups",
    };
    sql!(AssertSqlSafe(format!("SELECT id, rev, name FROM {table}"))).all(db).await
}

/// The number of runs.
pub async fn runs(db: &Db) -> Result<i64> {
    sql!("SELECT COUNT(*) FROM runs").one(db).await
}

/// When something was last recorded in the audit log.
pub async fn newest(db: &Db) -> Result<Option<Timestamp>> {
    sql!("SELECT MAX(at_ms) FROM audit").one(db).await
}
