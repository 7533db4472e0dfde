//! Identifiers: text, made by the application, sortable by the time they were made (`UUIDv7`).
//!
//! A type per noun, so that a run's id cannot be passed where a schedule's is wanted. The database stores them as
//! TEXT on both engines.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as stored and shown.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

id!(
    /// A Docker Engine endpoint: an immutable slug chosen by an admin. `local` is the default one.
    HostId
);
id!(
    /// A rule the user keeps.
    ScheduleId
);
id!(
    /// One execution of a request.
    RunId
);
id!(
    /// One container operation of a run.
    StepId
);
id!(
    /// An address under which a calendar app fetches what is planned.
    FeedId
);
id!(
    /// A named list of dates.
    CalendarId
);
id!(
    /// A wish that outranks the windows for a while.
    OverrideId
);
id!(
    /// A person with a login.
    UserId
);
id!(
    /// A row of the audit log.
    AuditId
);

impl HostId {
    /// The host of the first release: the Engine that `DOCKER_HOST` names.
    pub fn local() -> Self {
        Self("local".to_owned())
    }
}
