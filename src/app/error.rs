//! The errors of the services, with messages that tell a person what to do.
//!
//! Pages and API render the same error; only `web::error` chooses the format. The text of an error includes its cause,
//! because the log shows that text; `web::error` removes the cause before a person sees the message.

use std::time::Duration;

use crate::db::DbError;
use crate::domain::permission::Role;

/// An error in one field of a form or request body.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field's name in the form and in the API.
    pub field: String,
    /// What is wrong and how to correct the value.
    pub message: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// The reason why a service call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The requested object does not exist.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// `stack`, `container`, `schedule`, `run`, `user`, `page`.
        what: &'static str,
        /// The name or id in the request.
        name: String,
        /// Existing names that are similar.
        near: Vec<String>,
    },
    /// The caller is not logged in, or the session has ended.
    #[error("log in first")]
    Unauthenticated,
    /// Wrong user name or password; the message never says which of the two.
    #[error("name or password is wrong")]
    WrongCredentials,
    /// The caller's role does not have the permission.
    #[error("this needs the role {needs}")]
    Forbidden {
        /// The weakest role that has the permission.
        needs: Role,
    },
    /// The target is protected: DockNap never acts on it.
    #[error("`{name}` is protected: {reason}")]
    Protected {
        /// Name of the stack or container.
        name: String,
        /// Why the target is protected.
        reason: String,
    },
    /// Some fields are wrong; nothing was stored.
    #[error("{} of the fields need a correction", .0.len())]
    Invalid(Vec<FieldError>),
    /// The object was changed by somebody else since the caller read it.
    #[error("it was changed by somebody else in the meantime")]
    Stale {
        /// The revision stored now.
        current_rev: i64,
    },
    /// The state of the object does not allow the operation.
    #[error("{message}")]
    Conflict {
        /// Stable code for API clients, such as `read_only_source`.
        code: &'static str,
        /// The cause and what to do.
        message: String,
    },
    /// The limit of tries is exceeded.
    #[error("too many tries; wait {} s", .retry_after.as_secs())]
    TooManyTries {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
    /// Docker cannot be reached or returned an error.
    #[error("{message}")]
    Docker {
        /// What happened and what to do.
        message: String,
    },
    /// DockNap is shutting down, or the database is unreachable or full.
    #[error("{message}")]
    Unavailable {
        /// What is unavailable.
        message: String,
    },
    /// A bug in DockNap or a fault of the machine; the cause is for the log only.
    #[error("something went wrong inside DockNap: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An error in one field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// A [`Self::Conflict`] with its stable code and message.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    /// A [`Self::NotFound`] without suggestions.
    pub fn not_found(what: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound { what, name: name.into(), near: Vec::new() }
    }

    /// Stable code for API clients.
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

/// The result of every service.
pub type Result<T> = std::result::Result<T, Error>;
