//! What a service can answer besides a value, in words a person can act on.
//!
//! Pages and API render the same error; only `web::error` decides on the form. What caused one is part of its text,
//! since that is what a log line shows; `web::error` keeps it from persons.

use std::time::Duration;

use crate::db::DbError;
use crate::domain::permission::Role;

/// One thing that is wrong with one field of a form or a body.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field's name in the form and in the API.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl FieldError {
    /// One thing that is wrong.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Why a service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// `stack`, `container`, `schedule`, `run`, `user`, `page`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// Nobody is logged in, or the login ended.
    #[error("log in first")]
    Unauthenticated,
    /// Name and password do not belong together; never says which is wrong.
    #[error("name or password is wrong")]
    WrongCredentials,
    /// The caller's role does not include it.
    #[error("this needs the role {needs}")]
    Forbidden {
        /// The weakest role that may.
        needs: Role,
    },
    /// The target is never touched.
    #[error("`{name}` is protected: {reason}")]
    Protected {
        /// The stack or container.
        name: String,
        /// Why.
        reason: String,
    },
    /// Some fields are wrong; nothing was stored.
    #[error("{} of the fields need a correction", .0.len())]
    Invalid(Vec<FieldError>),
    /// Somebody changed it since it was read.
    #[error("it was changed by somebody else in the meantime")]
    Stale {
        /// The revision that is stored now.
        current_rev: i64,
    },
    /// It cannot be done to a thing in this state; the sentence says why and what to do.
    #[error("{message}")]
    Conflict {
        /// Stable word for programs, such as `read_only_source`.
        code: &'static str,
        /// Why, and what to do.
        message: String,
    },
    /// Too many tries.
    #[error("too many tries; wait {} s", .retry_after.as_secs())]
    TooManyTries {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Docker cannot be reached, or refused.
    #[error("{message}")]
    Docker {
        /// What happened and what to do.
        message: String,
    },
    /// DockNap is stopping, or the database is away or full.
    #[error("{message}")]
    Unavailable {
        /// What is away.
        message: String,
    },
    /// A fault of ours or of the machine's; for the log only.
    #[error("something went wrong inside DockNap: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// One field is wrong.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// It cannot be done to a thing in this state: a stable word for programs, and why.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// A fault of ours or of the machine's.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    /// No such thing, and nothing that looks like it.
    pub fn not_found(what: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound { what, name: name.into(), near: Vec::new() }
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Unauthenticated => "unauthenticated",
            Self::WrongCredentials => "wrong_credentials",
            Self::Forbidden { .. } => "forbidden",
            Self::Protected { .. } => "protected",
            Self::Invalid(_) => "invalid",
            Self::Stale { .. } => "stale",
            Self::Conflict { code, .. } => code,
            Self::TooManyTries { .. } => "too_many_tries",
            Self::Docker { .. } => "docker",
            Self::Unavailable { .. } => "unavailable",
            Self::Internal(_) => "internal",
        }
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        match error.unavailable() {
            Some(message) => Self::Unavailable { message },
            None => Self::Internal(Box::new(error)),
        }
    }
}

/// What every service answers.
pub type Result<T> = std::result::Result<T, Error>;
