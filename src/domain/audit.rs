//! Rows of the audit log: the actor, the instant, the event, the object and the outcome, with details stored as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{AuditId, HostId};
use super::run::ActorRef;
use super::time::{Instant, serialize_instant};

// Rows are only added, never changed, and hold no secret.
/// One row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = AuditJson)]
pub struct AuditRow {
    #[schema(value_type = String)]
    pub id: AuditId,
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub at: Timestamp,
    pub actor: ActorRef,
    /// The IP address of the caller, where a person or program called.
    pub ip: Option<String>,
    /// The name of the event, as `noun.verb`.
    pub event: String,
    // `schedule`, `stack`, `container`, `run`, `user`, `session`, `settings`.
    pub object_type: String,
    pub object_id: Option<String>,
    // The name at that time.
    pub object_name: String,
    // `ok`, `refused`, `failed`, or a run's terminal state.
    pub outcome: String,
    #[serde(flatten)]
    pub detail: AuditDetail,
}

impl AuditRow {
    /// Whether the event succeeded completely.
    pub fn is_done(&self) -> bool {
        matches!(self.outcome.as_str(), "ok" | "succeeded")
    }

    /// Whether the event was refused or failed, at least in part.
    pub fn is_bad(&self) -> bool {
        matches!(self.outcome.as_str(), "refused" | "failed" | "partial" | "interrupted")
    }

    /// Run that the row belongs to; `None` for a row about a run itself.
    pub fn run(&self) -> Option<&str> {
        self.detail.run_id.as_deref().filter(|_| self.object_type != "run")
    }

    /// Whether no field has both an old and a new value, because the object is new or deleted.
    pub fn is_of_new_or_gone(&self) -> bool {
        self.detail.changes.iter().all(|change| change.old.is_none() || change.new.is_none())
    }
}

/// The details of an audit row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditDetail {
    /// The changed fields with their old and new values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The id of the host of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub host: Option<HostId>,
    /// The id of the run that the row is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// What caused the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Why it was refused or failed, or another explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One field that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// The name of the field.
    pub field: String,
    /// The old value; `null` where the object is new.
    pub old: Option<String>,
    /// The new value; `null` where the object is deleted.
    pub new: Option<String>,
}

impl Change {
    /// One of something that is new, or is looked at as a whole.
    pub fn to(field: &str, new: impl Into<String>) -> Self {
        Self { field: field.to_owned(), old: None, new: Some(new.into()) }
    }

    /// What differs, field by field.
    pub fn between<'a>(
        fields: impl IntoIterator<Item = (&'a str, Option<String>, Option<String>)>,
    ) -> Vec<Self> {
        let changed = fields.into_iter().filter(|(_, old, new)| old != new);
        changed.map(|(field, old, new)| Self { field: field.to_owned(), old, new }).collect()
    }
}
