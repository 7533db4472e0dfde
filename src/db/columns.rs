//! Conversion between domain types and database columns: [`Bind`] for writing, [`Column`] for reading. The macro calls
//! list every stored type with both directions.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Result;
use super::read::{Column, Row};
use crate::domain::action::Action;
use crate::domain::calendar::CalendarEffect;
use crate::domain::group::{Colour, GroupSource};
use crate::domain::host::HostSource;
use crate::domain::ids::{
    AuditId, BatchId, CalendarId, FeedId, GroupId, HostId, OverrideId, RunId, ScheduleId, StepId, UserId,
};
use crate::domain::nap::NapKind;
use crate::domain::overrides::DesiredState;
use crate::domain::permission::Role;
use crate::domain::run::{Condition, RunState, StepState, Trigger};
use crate::domain::schedule::{LabelOff, Policy, Source, Wake};
use crate::domain::target::{ContainerIdentity, TargetType};
use crate::domain::time::{from_ms, to_ms};
use crate::domain::trace::Did;
use crate::domain::user::{ClockFace, LinkKind, WeekStart};
use crate::domain::window::Phase;

/// A parameter of a statement, in one of the three types that both engines have; `None` = NULL.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(Option<bool>),
}

/// A type that can be a parameter of a statement.
pub(super) trait Bind {
    /// NULL of the right type: PostgreSQL needs the type of a parameter even without a value.
    const NULL: Value;
    fn value(&self) -> Value;
}

impl<T: Bind + ?Sized> Bind for &T {
    const NULL: Value = T::NULL;

    fn value(&self) -> Value {
        (**self).value()
    }
}

impl<T: Bind> Bind for Option<T> {
    const NULL: Value = T::NULL;

    fn value(&self) -> Value {
        self.as_ref().map_or(T::NULL, T::value)
    }
}

impl<T: Column> Column for Option<T> {
    fn read(row: &Row<'_>, index: usize) -> Result<Option<Self>> {
        Ok(Some(T::read(row, index)?))
    }
}

impl Bind for str {
    const NULL: Value = Value::Text(None);

    fn value(&self) -> Value {
        Value::Text(Some(self.to_owned()))
    }
}

/// Implements both directions for each type: `Type: function to the stored value, function from it;`
macro_rules! columns {
    ($($kind:ident: $raw:ty { $($type:ty: $write:expr, $read:expr;)+ })+) => {$($(
        impl Bind for $type {
            const NULL: Value = Value::$kind(None);

            fn value(&self) -> Value {
                let write: fn(&Self) -> $raw = $write;
                Value::$kind(Some(write(self)))
            }
        }

        impl Column for $type {
            fn read(row: &Row<'_>, index: usize) -> Result<Option<Self>> {
                let read: fn($raw) -> Option<Self> = $read;
                row.raw::<$raw>(index)?.map(|raw| read(raw).ok_or_else(|| row.damaged(index))).transpose()
            }
        }
    )+)+};
}

columns! {
    Number: i64 {
        i64: |number| *number, Some;
        Timestamp: |at| to_ms(*at), |ms| Some(from_ms(ms));
    }
    Flag: bool {
        bool: |flag| *flag, Some;
    }
    Text: String {
        String: Self::clone, Some;
        ContainerIdentity: Self::to_text, |text| Self::parse(&text);
        CalendarEffect: |effect| effect.as_str().to_owned(), |text| Self::parse(&text);
    }
}

macro_rules! ids {
    ($($id:ident)+) => { columns! { Text: String { $($id: |id| id.0.clone(), |text| Some(Self(text));)+ } } };
}

ids!(AuditId BatchId CalendarId FeedId GroupId HostId OverrideId RunId ScheduleId StepId UserId);

macro_rules! words {
    ($($word:ident)+) => {
        columns! { Text: String { $($word: |word| word.as_str().to_owned(), |text| text.parse().ok();)+ } }
    };
}

words!(
    Action ClockFace Colour Condition DesiredState Did GroupSource HostSource LabelOff LinkKind NapKind Phase Policy Role
    RunState Source StepState TargetType Trigger Wake WeekStart
);

/// A value stored as JSON text.
pub(super) struct Json<T>(pub T);

impl<T: Serialize> Bind for Json<T> {
    const NULL: Value = Value::Text(None);

    fn value(&self) -> Value {
        Value::Text(serde_json::to_string(&self.0).ok())
    }
}

impl<T: DeserializeOwned> Column for Json<T> {
    fn read(row: &Row<'_>, index: usize) -> Result<Option<Self>> {
        let text = row.raw::<String>(index)?;
        text.map(|text| serde_json::from_str(&text).map(Self).map_err(|_| row.damaged(index))).transpose()
    }
}
