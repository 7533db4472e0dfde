//! Identifiers: texts that the application creates, sortable by their creation time (`UUIDv7`).
//!
//! Each kind of object has its own type, so that a run's id cannot be passed where a schedule's id is expected. The
//! database stores all of them as TEXT on both engines.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as text, as stored and shown.
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
    /// A Docker Engine endpoint: an immutable slug chosen by an admin. `local` is the default.
    HostId
);
id!(
    /// A group of hosts, stacks and containers: an immutable slug.
    GroupId
);
id!(
    /// A schedule.
    ScheduleId
);
id!(
    /// One execution of a request.
    RunId
);
id!(
    /// The runs of one fire of a group's schedule.
    BatchId
);
id!(
    /// One container operation of a run.
    StepId
);
id!(
    /// A secret URL under which a calendar app fetches the planned events.
    FeedId
);
id!(
    /// A named list of dates.
    CalendarId
);
id!(
    /// A temporary desired state with priority over windows.
    OverrideId
);
id!(
    /// A user account.
    UserId
);
id!(
    /// A row of the audit log.
    AuditId
);

impl HostId {
    /// The only host of the first release: the Engine that `DOCKER_HOST` names.
    pub fn local() -> Self {
        Self("local".to_owned())
    }
}
