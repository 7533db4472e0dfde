//! From what was typed to what can be stored: every field is looked at, so that one answer names all that is wrong.

/// A schedule as typed, in a form or as JSON: nothing checked yet. `None` and an empty text are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// What to call it.
    pub name: Option<String>,
    /// The host; `local` where nothing is said.
    pub host: Option<String>,
    /// `stack` or `container`.
    pub target_type: Option<String>,
    /// The stack's or container's name, or its key.
    pub target_id: Option<String>,
    /// `cron` or `once`; by default whichever of `cron` and `at` is filled.
    pub kind: Option<String>,
    /// One of the five actions.
    pub action: Option<String>,
    /// A cron expression.
    pub cron: Option<String>,
    /// RFC 3339, or `YYYY-MM-DDTHH:MM` in the schedule's zone.
    pub at: Option<String>,
    /// Window text; not available yet.
    pub window: Option<String>,
    /// IANA name.
    pub timezone: Option<String>,
    /// Whether it fires at all; on where nothing is said.
    pub enabled: Option<bool>,
    /// Seconds, as text.
    pub catch_up_seconds: Option<String>,
    /// A whole number, as text.
    pub priority: Option<String>,
    /// Seconds, as text.
    pub stop_timeout_seconds: Option<String>,
    /// `respect`: the others belong to windows.
    pub policy: Option<String>,
    /// `stop`: the other belongs to windows.
    pub mode: Option<String>,
    /// `restore`: the other belongs to windows.
    pub wake: Option<String>,
    /// Nothing: calendars are not available yet.
    pub calendar_id: Option<String>,
    /// Nothing: calendars are not available yet.
    pub calendar_effect: Option<String>,
    /// Free text.
    pub note: Option<String>,
    /// Accept a target that does not exist yet.
    pub allow_missing: bool,
}
