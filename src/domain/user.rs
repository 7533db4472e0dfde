//! A person with a login.

use jiff::Timestamp;

use super::ids::UserId;
use super::permission::Role;

/// A person with a login, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The login name, as it was written when it was made.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether logins are refused.
    pub disabled: bool,
    /// IANA name of the zone they want to see; `None` = the installation's.
    pub timezone: Option<String>,
    /// `light` or `dark`; `None` = as the device says.
    pub theme: Option<String>,
    /// When the password was last set.
    pub password_set: Timestamp,
    /// When they last logged in.
    pub last_login: Option<Timestamp>,
    /// Counts the changes, so that two people do not overwrite each other's.
    pub rev: i64,
    /// When it was made.
    pub created: Timestamp,
}
