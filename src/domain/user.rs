//! A person with a login.

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan as _};

use super::ids::UserId;
use super::permission::Role;
use super::words::words;

words! {
    /// How the hours of a day are written.
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
    /// Both.
    pub const ALL: [Self; 2] = [Self::H24, Self::H12];
}

words! {
    /// The day a week begins with where it is drawn.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum WeekStart {
        /// As ISO 8601 has it.
        #[default]
        #[strum(serialize = "mon")]
        Monday,
        /// As in North America.
        #[strum(serialize = "sun")]
        Sunday,
    }
}

impl WeekStart {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Monday, Self::Sunday];

    /// The day itself.
    pub fn day(self) -> Weekday {
        match self {
            Self::Monday => Weekday::Monday,
            Self::Sunday => Weekday::Sunday,
        }
    }

    /// The days of a week in their order, each as its distance from Monday.
    pub fn days(self) -> [usize; 7] {
        match self {
            Self::Monday => [0, 1, 2, 3, 4, 5, 6],
            Self::Sunday => [6, 0, 1, 2, 3, 4, 5],
        }
    }

    /// The first date of the week that holds a date.
    pub fn week_of(self, date: Date) -> Date {
        date.saturating_sub(i64::from(date.weekday().since(self.day())).days())
    }
}

/// How somebody wants the pages to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Habits {
    /// How hours are written.
    pub clock: ClockFace,
    /// The day a week begins with.
    pub week_start: WeekStart,
    /// Single keys do something (WCAG 2.1.4: they can be switched off).
    pub keys: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self { clock: ClockFace::default(), week_start: WeekStart::default(), keys: true }
    }
}

/// A person with a login, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// The login name, as it was written when it was made.
    pub name: String,
    pub role: Role,
    /// Whether logins are refused.
    pub disabled: bool,
    /// IANA name of the zone they want to see; `None` = the installation's.
    pub timezone: Option<String>,
    /// `light` or `dark`; `None` = as the device says.
    pub theme: Option<String>,
    /// How they want the pages to be.
    pub habits: Habits,
    /// When the password was last set; 1970 where nobody has chosen one yet ([`User::is_invited`]).
    pub password_set: Timestamp,
    /// When they last logged in.
    pub last_login: Option<Timestamp>,
    /// Counts the changes, so that two people do not overwrite each other's.
    pub rev: i64,
    pub created: Timestamp,
}

impl User {
    /// A new account, of which only this is said.
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

    /// Whether nobody has chosen a password for it yet, and so nobody can log in.
    pub fn is_invited(&self) -> bool {
        self.password_set <= Timestamp::UNIX_EPOCH
    }
}

words! {
    /// What a link with which somebody chooses a password is for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum LinkKind {
        /// The first password of a new account.
        Invite,
        /// Another one, where the old is forgotten.
        Reset,
    }
}

impl LinkKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Invite, Self::Reset];
}
