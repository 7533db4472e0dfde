//! User accounts, their display preferences, and the kinds of links with which a person sets a password.

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan as _};

use super::ids::UserId;
use super::permission::Role;
use super::words::words;

words! {
    /// Clock format.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum ClockFace {
        /// `23:00`
        #[default]
        #[strum(serialize = "24")]
        H24,
        /// `11:00 pm`
        #[strum(serialize = "12")]
        H12,
    }
}

impl ClockFace {
    /// All values.
    pub const ALL: [Self; 2] = [Self::H24, Self::H12];
}

words! {
    /// First day of the week on pages.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum WeekStart {
        /// As in ISO 8601.
        #[default]
        #[strum(serialize = "mon")]
        Monday,
        /// As in North America.
        #[strum(serialize = "sun")]
        Sunday,
    }
}

impl WeekStart {
    /// All values.
    pub const ALL: [Self; 2] = [Self::Monday, Self::Sunday];

    /// This day as a weekday.
    pub fn day(self) -> Weekday {
        match self {
            Self::Monday => Weekday::Monday,
            Self::Sunday => Weekday::Sunday,
        }
    }

    /// Days of a week in display order, each as its distance from Monday.
    pub fn days(self) -> [usize; 7] {
        match self {
            Self::Monday => [0, 1, 2, 3, 4, 5, 6],
            Self::Sunday => [6, 0, 1, 2, 3, 4, 5],
        }
    }

    /// First date of the week that contains a date.
    pub fn week_of(self, date: Date) -> Date {
        date.saturating_sub(i64::from(date.weekday().since(self.day())).days())
    }
}

/// Display preferences of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Habits {
    /// Clock format.
    pub clock: ClockFace,
    /// First day of the week.
    pub week_start: WeekStart,
    /// Whether single-key shortcuts are on (WCAG 2.1.4: a user can switch them off).
    pub keys: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self { clock: ClockFace::default(), week_start: WeekStart::default(), keys: true }
    }
}

/// User account, without the password hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// Login name, in the spelling of its creation.
    pub name: String,
    pub role: Role,
    /// Whether the account is blocked from logging in.
    pub disabled: bool,
    /// IANA name of the display time zone; `None` = that of the installation.
    pub timezone: Option<String>,
    /// `light` or `dark`; `None` = the setting of the device.
    pub theme: Option<String>,
    /// Display preferences.
    pub habits: Habits,
    /// Last change of the password; 1970 if none has been set yet ([`User::is_invited`]).
    pub password_set: Timestamp,
    pub last_login: Option<Timestamp>,
    /// Revision, incremented by every change, so that concurrent edits are detected.
    pub rev: i64,
    pub created: Timestamp,
}

impl User {
    /// New account with default preferences.
    pub fn new(id: UserId, name: &str, role: Role, now: Timestamp) -> Self {
        Self {
            id,
            name: name.trim().to_owned(),
            role,
            disabled: false,
            timezone: None,
            theme: None,
            habits: Habits::default(),
            password_set: now,
            last_login: None,
            rev: 1,
            created: now,
        }
    }

    /// Whether no password has been set yet, so that nobody can log in.
    pub fn is_invited(&self) -> bool {
        self.password_set <= Timestamp::UNIX_EPOCH
    }
}

words! {
    /// Purpose of a link with which a person sets a password.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum LinkKind {
        /// First password of a new account.
        Invite,
        /// New password in place of a forgotten one.
        Reset,
    }
}

impl LinkKind {
    /// All values.
    pub const ALL: [Self; 2] = [Self::Invite, Self::Reset];
}
